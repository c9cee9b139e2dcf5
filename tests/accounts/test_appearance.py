"""Language and light: chosen by anybody, kept, and never a way to another site."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from tests.accounts.factories import PersonClient

pytestmark = pytest.mark.django_db


def test_a_user_reads_every_page_in_the_chosen_language(browser: PersonClient) -> None:
    answer = browser.post("/settings/language", {"language": "ru", "next": "/billing/plans"})

    assert answer["Location"] == "/billing/plans"
    assert User.objects.get(pk=browser.user.pk).language == "ru"
    page = browser.get("/billing/plans")
    assert page["Content-Language"] == "ru"
    assert '<html lang="ru"' in page.content.decode()


def test_the_signed_out_are_remembered_by_their_browser() -> None:
    visitor = Client()
    visitor.post("/settings/language", {"language": "ru"})

    assert visitor.get("/accounts/login/")["Content-Language"] == "ru"
    assert Client().get("/accounts/login/")["Content-Language"] == "en"


def test_what_the_browser_asks_for_counts_until_something_is_chosen(browser: PersonClient) -> None:
    asked = {"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.5"}
    assert browser.get("/billing/", headers=asked)["Content-Language"] == "ru"

    browser.post("/settings/language", {"language": "en"})

    assert browser.get("/billing/", headers=asked)["Content-Language"] == "en"


def test_programs_are_answered_in_english(browser: PersonClient) -> None:
    browser.post("/settings/language", {"language": "ru"})

    assert browser.get("/api/quota")["Content-Language"] == "en"
    assert browser.get("/api/nowhere").json()["error"]["message"] == "There is no such address."


@pytest.mark.parametrize("language", ["", "xx", "ru'\"", "r" * 10_000])
def test_an_unknown_language_is_refused_and_changes_nothing(
    browser: PersonClient, language: str
) -> None:
    answer = browser.post("/settings/language", {"language": language})

    assert answer.status_code == 400
    assert User.objects.get(pk=browser.user.pk).language == ""


@pytest.mark.parametrize(
    "target", ["https://elsewhere.example.com/", "//elsewhere.example.com", "javascript:alert(1)"]
)
def test_the_way_back_never_leads_to_another_site(browser: PersonClient, target: str) -> None:
    for page, name in (("language", "en"), ("theme", "night")):
        assert browser.post(f"/settings/{page}", {page: name, "next": target})["Location"] == "/"


@pytest.mark.parametrize("theme", ["paper", "night", ""])
def test_a_light_is_kept_by_the_browser(browser: PersonClient, theme: str) -> None:
    browser.post("/settings/theme", {"theme": theme})

    html = browser.get("/billing/").content.decode()
    assert (f'data-theme="{theme}"' in html) == bool(theme)


def test_a_light_that_does_not_exist_is_refused_and_ignored(browser: PersonClient) -> None:
    assert browser.post("/settings/theme", {"theme": "neon"}).status_code == 400
    browser.cookies["portal_theme"] = '"><script>'
    assert "data-theme" not in browser.get("/billing/").content.decode()
