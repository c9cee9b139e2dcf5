"""``manage.py seed_demo``: people to try the sandbox with. Never outside of it."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.models import Customer, User
from accounts.selectors import personal_customer
from accounts.services import open_personal_customer, register_person
from billing import ledger
from billing.models import Code
from billing.money import CREDIT
from common import clock

CUSTOMER = ("demo@example.com", "demo-sandbox-only")
STAFF = ("staff@example.com", "staff-sandbox-only")
WELCOME_CREDITS = 500


class Command(BaseCommand):
    """Makes what is missing and leaves the rest as it is; prints the log-ins."""

    help = "Make a demo customer with some credits and a demo superuser; sandbox only."

    @transaction.atomic
    def handle(self, *_: Any, **__: Any) -> None:
        """Seed, once however often it is called."""
        if not settings.SANDBOX:
            raise CommandError("seed_demo works in the sandbox only (SANDBOX=1).")
        person = _person(*CUSTOMER)
        _welcome(personal_customer(person) or open_personal_customer(person))
        self._tell("customer", person, CUSTOMER[1])
        self._tell("staff", _superuser(*STAFF), STAFF[1])

    def _tell(self, role: str, user: User, password: str) -> None:
        shown = password if user.check_password(password) else "(its password was changed)"
        self.stdout.write(f"{role:<16} {user.email}   {shown}")


def _person(email: str, password: str) -> User:
    found = User.objects.filter(email=email).first()
    return found or register_person(
        email=email, password=password, name="Demo customer", email_verified=True
    )


def _superuser(email: str, password: str) -> User:
    found = User.objects.filter(email=email).first()
    if found is not None:
        return found
    user = User.objects.create_superuser(email, password, name="Demo staff")
    EmailAddress.objects.create(user=user, email=email, primary=True, verified=True)
    return user


def _welcome(customer: Customer) -> None:
    """Some credits to look at; the key makes it once per customer."""
    key = f"demo:{customer.pk}:welcome"
    ledger.grant(
        ledger.wallet(customer, CREDIT),
        WELCOME_CREDITS * CREDIT.unit_minor,
        code=Code.PROMOTION,
        key=key,
        group=key,
        occurred_at=clock.now(),
        origin="demo",
        promotional=True,
    )
