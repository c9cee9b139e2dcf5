"""The page of e-mails for builders: each kind in each language, and only while DEBUG is on."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.http import Http404
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from playwright.sync_api import Page

from billing.models import EmailKind
from billing.views import email_previews, email_samples
from billing_project.urls import urlpatterns as portal

# As billing_project.urls has them with DEBUG.
urlpatterns = [
    *portal,
    path("emails", email_previews.index, name="email_previews"),
    path("emails/<name>/<language>.<form>", email_previews.preview, name="email_preview"),
]

SANDBOX_NOTE = "ПЕСОЧНИЦА – настоящие деньги не движутся\n\n"
LANGUAGES = [code for code, _name in settings.LANGUAGES]


def preview(name: str, language: str, form: str) -> str:
    request = RequestFactory().get("/emails")
    return str(email_previews.preview(request, name, language, form).text)


def test_there_is_a_sample_of_each_kind() -> None:
    assert {name.partition("-")[0] for name in email_samples.SAMPLES} == set(EmailKind.values)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", email_samples.SAMPLES)
def test_each_is_shown_without_a_database(name: str, language: str) -> None:
    html, text = preview(name, language, "html"), preview(name, language, "txt")

    assert f'<html lang="{language}">' in html
    assert "Ada &amp; Sons" in html
    assert "Ada & Sons" in text
    # Every placeholder was filled in, and text is text.
    assert "%(" not in html + text
    assert "&amp;" not in text
    assert "<" not in text


@pytest.mark.parametrize(
    "told", [("nonsense", "en", "html"), ("receipt", "xx", "html"), ("receipt", "en", "pdf")]
)
def test_what_there_is_not_is_not_found(told: tuple[str, str, str]) -> None:
    with pytest.raises(Http404):
        preview(*told)


@pytest.mark.parametrize("name", email_samples.SAMPLES)
def test_russians_read_russian(name: str) -> None:
    subject, _, title, *_rest = preview(name, "ru", "txt").replace(SANDBOX_NOTE, "").splitlines()

    for line in (subject, title):
        assert re.search("[а-яё]{3}", line.lower()), line


@pytest.mark.browser
def test_a_phone_shows_them_without_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    long = f"x{'y' * 78}z"

    for name in email_samples.SAMPLES:
        for language in LANGUAGES:
            page.set_content(preview(name, language, "html").replace("Ada &amp; Sons", long))
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, (name, language, width)


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=__name__)
def test_the_list_leads_to_all_of_them() -> None:
    page = Client().get("/emails").text

    for name in email_samples.SAMPLES:
        assert f"/emails/{name}/ru.html" in page


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=__name__)
def test_a_mail_may_be_styled_and_nothing_else() -> None:
    answer = Client().get("/emails/receipt/en.html")

    policy = answer["Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


@pytest.mark.django_db
def test_without_debug_there_is_no_such_page() -> None:
    assert not settings.DEBUG
    assert Client().get("/emails").status_code == 404
    assert Client().get("/emails/receipt/en.html").status_code == 404
