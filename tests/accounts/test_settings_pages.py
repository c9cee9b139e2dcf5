"""The settings pages, but those of API keys."""

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.middleware import SESSION_KEY
from accounts.models import Customer, Membership, User
from accounts.services import api_keys
from accounts.templatetags.browsers import browser
from tests.accounts.factories import (
    PersonClient,
    acting_for,
    confirm,
    join,
    make_person,
    make_team,
    signed_in,
)

pytestmark = pytest.mark.django_db


class TestBillingDetails:
    PATH = "/settings/billing-details"
    FORM = {"name": "Ada", "email": "a@example.com", "language": "en", "time_zone": "UTC"}

    def test_it_saves_what_may_change(self, browser: PersonClient) -> None:
        form = {
            "name": "Ada",
            "email": "books@example.com",
            "address": "Main Street 1",
            "country": "DE",
            "tax_id": "DE 123 456 789",
            "language": "ru",
            "time_zone": "Europe/Berlin",
        }

        page = browser.post(self.PATH, form, follow=True)

        assert "Saved." in page.content.decode()
        customer = Customer.objects.get(pk=browser.customer.pk)
        assert {name: getattr(customer, name) for name in form} == form

    @pytest.mark.parametrize(
        "change",
        [
            {"email": "nonsense"},
            {"email": ""},
            {"country": "XYZ"},
            {"country": "ZZ"},
            {"country": "1!"},
            {"time_zone": "Mars/Olympus"},
            {"language": "tlh"},
            {"name": "x" * 151},
            {"address": "x" * 501},
            {"country": "DE", "tax_id": "DE12345"},
            {"country": "GR", "tax_id": "EL12345678X"},
        ],
    )
    def test_nonsense_changes_nothing_and_is_told_beside_its_field(
        self, browser: PersonClient, change: dict[str, str]
    ) -> None:
        page = browser.post(self.PATH, self.FORM | change)

        assert page.status_code == 200
        assert "field-error" in page.content.decode()
        assert Customer.objects.get(pk=browser.customer.pk).name == ""

    @pytest.mark.parametrize(
        ("country", "tax_id"),
        [
            ("DE", "DE123456789"),
            ("DE", "12/345/67890"),  # of a local tax office
            ("GR", "EL123456789"),
            ("CH", "CHE-123.456.789 MWST"),
            ("AT", "ATU12345678"),
            ("ES", "ESX1234567X"),
            ("IE", "IE1234567WA"),
            ("NL", "NL123456789B01"),
            ("US", "12-3456789"),
            ("RU", "7707083893"),
            ("", "DE1"),
        ],
    )
    def test_a_number_that_may_exist_is_taken(
        self, browser: PersonClient, country: str, tax_id: str
    ) -> None:
        browser.post(self.PATH, self.FORM | {"country": country, "tax_id": tax_id})

        assert Customer.objects.get(pk=browser.customer.pk).tax_id == tax_id

    def test_nobody_grants_themselves_credit(self, browser: PersonClient) -> None:
        sneaky = {"allowed_to_owe": "on", "kind": "team", "anchor_at": "2000-01-01"}

        browser.post(self.PATH, self.FORM | sneaky)

        customer = Customer.objects.get(pk=browser.customer.pk)
        assert (customer.allowed_to_owe, customer.kind) == (False, "person")
        assert customer.anchor_at == browser.customer.anchor_at

    def test_countries_are_offered_by_name(self, browser: PersonClient) -> None:
        page = browser.get(self.PATH).content.decode()

        assert '<option value="DE">Germany</option>' in page
        assert "European Union" not in page

    def test_a_country_that_is_no_more_stays(self, browser: PersonClient) -> None:
        Customer.objects.filter(pk=browser.customer.pk).update(country="AN")

        browser.post(self.PATH, self.FORM | {"country": "AN", "name": "Ada"})

        customer = Customer.objects.get(pk=browser.customer.pk)
        assert (customer.name, customer.country) == ("Ada", "AN")

    def test_a_plain_member_reads_and_changes_nothing(self) -> None:
        team = make_team(make_person())
        browser = acting_for(team, join(team, Membership.Role.MEMBER))

        page = browser.get(self.PATH).content.decode()

        assert "Your role lets you read this" in page
        assert browser.post(self.PATH, self.FORM).status_code == 403
        assert Customer.objects.get(pk=team.pk).name == "A team"


class TestProfile:
    def test_name_and_language_are_the_persons(self, browser: PersonClient) -> None:
        browser.post("/settings/", {"name": "Ada", "language": "ru"})

        user = User.objects.get(pk=browser.user.pk)
        assert (user.name, user.language) == ("Ada", "ru")
        assert Customer.objects.get(pk=browser.customer.pk).name == "Ada"

    def test_a_name_that_was_set_on_purpose_stays_on_invoices(self, browser: PersonClient) -> None:
        Customer.objects.filter(pk=browser.customer.pk).update(name="Ada Ltd")

        browser.post("/settings/", {"name": "Ada", "language": ""})

        assert Customer.objects.get(pk=browser.customer.pk).name == "Ada Ltd"

    def test_teams_keep_their_name(self) -> None:
        user = make_person(name="Ada")
        team = make_team(user, "Ada")

        signed_in(user).post("/settings/", {"name": "Grace", "language": ""})

        team.refresh_from_db()
        assert team.name == "Ada"

    def test_a_long_name_is_refused_beside_its_field(self, browser: PersonClient) -> None:
        page = browser.post("/settings/", {"name": "x" * 151})

        assert "field-error" in page.content.decode()
        assert User.objects.get(pk=browser.user.pk).name == ""


class TestNotifications:
    PATH = "/settings/notifications"

    def test_what_is_not_ticked_is_not_sent(self, browser: PersonClient) -> None:
        page = browser.post(self.PATH, {"kinds": ["invoice"]}, follow=True)

        assert "Saved." in page.content.decode()
        customer = Customer.objects.get(pk=browser.customer.pk)
        assert "renewal_soon" in customer.muted_emails
        assert "invoice" not in customer.muted_emails

    def test_what_has_to_be_sent_is_no_choice(self, browser: PersonClient) -> None:
        browser.post(self.PATH, {})

        assert "receipt" not in Customer.objects.get(pk=browser.customer.pk).muted_emails
        assert 'value="receipt"' not in browser.get(self.PATH).content.decode()

    def test_the_page_shows_what_was_chosen(self, browser: PersonClient) -> None:
        browser.post(self.PATH, {"kinds": ["invoice"]})

        page = browser.get(self.PATH).content.decode()

        assert re.search(r'value="invoice"[^>]*checked', page)
        assert not re.search(r'value="renewal_soon"[^>]*checked', page)

    def test_nonsense_changes_nothing(self, browser: PersonClient) -> None:
        page = browser.post(self.PATH, {"kinds": ["spam"]})

        assert "field-error" in page.content.decode()
        assert Customer.objects.get(pk=browser.customer.pk).muted_emails == []

    def test_a_plain_member_changes_nothing(self) -> None:
        team = make_team(make_person())
        browser = acting_for(team, join(team, Membership.Role.MEMBER))

        assert browser.get(self.PATH).status_code == 200
        assert browser.post(self.PATH, {}).status_code == 403


class TestSwitch:
    PATH = "/settings/switch"

    def test_a_member_acts_for_the_team_from_then_on(self, browser: PersonClient) -> None:
        team = make_team(browser.user, "Analytical Engines")

        page = browser.post(
            self.PATH, {"customer_id": team.pk, "next": "/settings/team"}, follow=True
        )

        assert page.redirect_chain == [("/settings/team", 302)]
        assert "You act for Analytical Engines now." in page.content.decode()
        assert browser.session[SESSION_KEY] == str(team.pk)

    @pytest.mark.parametrize(
        "target", ["https://evil.example/", "//evil.example", "", "/\\evil.example"]
    )
    def test_it_leads_to_no_other_site(self, browser: PersonClient, target: str) -> None:
        team = make_team(browser.user)

        answer = browser.post(self.PATH, {"customer_id": team.pk, "next": target})

        assert answer["Location"] == "/billing/"

    def test_others_teams_do_not_exist(self, browser: PersonClient) -> None:
        theirs = make_team(make_person())

        assert browser.post(self.PATH, {"customer_id": theirs.pk}).status_code == 404
        assert SESSION_KEY not in browser.session

    @pytest.mark.parametrize("customer_id", ["", "x", "'; drop table", "0" * 500])
    def test_nonsense_switches_nothing(self, browser: PersonClient, customer_id: str) -> None:
        assert browser.post(self.PATH, {"customer_id": customer_id}).status_code == 404

    def test_it_takes_a_form_not_a_link(self, browser: PersonClient) -> None:
        assert browser.get(self.PATH).status_code == 405

    def test_the_signed_out_are_sent_to_log_in(self) -> None:
        assert Client().post(self.PATH, {})["Location"].startswith("/accounts/login/")


class TestBrowserNames:
    @pytest.mark.parametrize(
        ("user_agent", "name"),
        [
            ("Mozilla/5.0 (Windows NT 10) … Chrome/130 Safari/537.36 Edg/130", "Edge · Windows"),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko Firefox/130.0", "Firefox · Linux"),
            ("Mozilla/5.0 (iPhone; … like Mac OS X) … Version/18 Safari/604", "Safari · iPhone"),
            ("curl/8.5.0", "curl/8.5.0"),
            ("", "Unknown browser"),
        ],
    )
    def test_they_are_told_by_what_people_call_them(self, user_agent: str, name: str) -> None:
        assert browser(user_agent) == name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "security",
        "billing-details",
        "notifications",
        "team",
        "team/new",
        "team/invite",
        "api-keys",
        "api-keys/new",
        "export",
        "close",
    ],
)
def test_no_page_asks_the_database_more_than_twelve_times(
    path: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    owner = make_person()
    team = make_team(owner)
    for role in Membership.Role:
        made_by = join(team, role)
        api_keys.create(team, created_by=made_by, name="job", scope_names=["credits:read"])
    client = acting_for(team, owner)
    confirm(client)
    client.get(f"/settings/{path}")

    with django_assert_max_num_queries(12):
        answer = client.get(f"/settings/{path}")

    assert answer.status_code == 200
