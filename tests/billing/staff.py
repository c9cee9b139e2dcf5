"""Staff for tests: signed in to the admin, with all rights or only some."""

from __future__ import annotations

import html
import re
from typing import Any, TypeAlias

from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from tests.accounts.factories import make_person, make_staff

# What the test client answers; its type has no public name.
Page: TypeAlias = Any

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
# Everything there is to look at, and nothing to do.
LOOKING = [
    "view_ledgeraccount", "view_transfer", "view_lot", "view_lotuse", "view_hold", "view_order",
    "view_payment", "view_unappliedpayment", "view_refund", "view_inboundevent",
    "view_staffaction", "view_dispute", "view_subscription", "view_subscriptionperiod",
    "view_reconciliationrun",
    "view_reconciliationitem", "view_customer", "view_email",
]  # fmt: skip


class Staff(Client):
    """A browser of a member of staff. Fills in and confirms the forms of acts as shown."""

    user: User

    def act(self, url: str, **fields: Any) -> Page:
        """Fill in the form, look at what would happen, say yes."""
        page = self.shown(url, **fields)
        return self.post_final(url, page, **{} if "reason" in hidden(page) else fields)

    def shown(self, url: str, **fields: Any) -> Page:
        """The page that shows what would happen."""
        page = self.get(url)
        assert page.status_code == 200, page
        if 'name="seen"' in page.text:
            return page
        return self.post(url, {**hidden(page), **fields})

    def post_final(self, url: str, page: Page, **fields: Any) -> Page:
        """Say yes to what a page shows."""
        return self.post(url, {"reason": "asked by e-mail", **hidden(page), **fields})


def sign_in(user: User | None = None) -> Staff:
    """The browser of this member of staff, or of a new superuser."""
    browser = Staff(raise_request_exception=True)
    browser.user = user or make_staff()
    browser.force_login(browser.user, backend=MODEL_BACKEND)
    return browser


def make_helper(*rights: str) -> User:
    """A member of staff who may look at everything and has these rights besides."""
    user = make_person()
    user.is_staff = True
    user.save(update_fields=["is_staff"])
    wanted = Permission.objects.filter(
        content_type__app_label__in=["billing", "accounts"], codename__in=[*LOOKING, *rights]
    )
    assert wanted.count() == len({*LOOKING, *rights})
    user.user_permissions.set(wanted)
    return user


def hidden(page: Page) -> dict[str, str]:
    """The hidden inputs of a page, as a browser would send them (not those of the token)."""
    found: dict[str, str] = {}
    for tag in re.findall(r"<input\b[^>]*>", page.text):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if attributes.get("type") == "hidden" and attributes.get("name") != "csrfmiddlewaretoken":
            found[attributes["name"]] = html.unescape(attributes.get("value", ""))
    return found


def words(page: Page) -> str:
    """What a person reads on a page, on one line."""
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", page.text, flags=re.DOTALL)
    return " ".join(html.unescape(text).split())
