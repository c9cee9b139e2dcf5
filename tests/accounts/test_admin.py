"""People and parties in the admin."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import ApiKey, Customer, User
from accounts.services import api_keys
from tests.accounts.factories import PASSWORD, customer_of, make_person, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(make_staff(), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.mark.parametrize("model", ["user", "customer", "apikey"])
def test_lists_and_pages_open(staff: Client, model: str) -> None:
    user = make_person("ada@example.com")
    customer = customer_of(user)
    new_key = api_keys.create(customer, created_by=user, name="job", scope_names=["credits:read"])
    pk = {"user": user.pk, "customer": customer.pk, "apikey": new_key.api_key.pk}[model]

    listed = staff.get(f"/admin/accounts/{model}/?q=ada")
    page = staff.get(f"/admin/accounts/{model}/{pk}/change/")

    assert (listed.status_code, page.status_code) == (200, 200)
    for secret in (new_key.secret, new_key.api_key.secret_hash):
        assert secret not in listed.content.decode() + page.content.decode()


def test_staff_can_be_added_by_address(staff: Client) -> None:
    form = {
        "email": "New@Example.com",
        "name": "",
        "password1": PASSWORD,
        "password2": PASSWORD,
        "usable_password": "true",
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
    }

    opened = staff.get("/admin/accounts/user/add/")
    staff.post("/admin/accounts/user/add/", form)

    assert opened.status_code == 200
    assert User.objects.get(email="new@example.com").check_password(PASSWORD)


def test_a_made_up_member_is_refused_and_not_looked_up(staff: Client) -> None:
    customer = customer_of(make_person())
    membership = customer.memberships.get()
    form = {
        "name": "", "email": customer.email, "country": "", "time_zone": "UTC",
        "memberships-TOTAL_FORMS": "1", "memberships-INITIAL_FORMS": "1",
        "memberships-0-id": str(membership.pk), "memberships-0-customer": str(customer.pk),
        "memberships-0-user": "no such user", "memberships-0-role": "owner",
    }  # fmt: skip

    answer = staff.post(f"/admin/accounts/customer/{customer.pk}/change/", form)

    assert answer.status_code == 200
    membership.refresh_from_db()
    assert membership.user.email == customer.email


def test_nobody_is_deleted_there(staff: Client) -> None:
    user = make_person()
    customer = customer_of(user)

    for model, pk in (("user", user.pk), ("customer", customer.pk)):
        response = staff.post(f"/admin/accounts/{model}/{pk}/delete/", {"post": "yes"})
        assert response.status_code == 403
    staff.post(
        "/admin/accounts/user/", {"action": "delete_selected", "_selected_action": [user.pk]}
    )

    assert User.objects.filter(pk=user.pk).exists()
    assert Customer.objects.filter(pk=customer.pk).exists()


def test_keys_are_revoked_and_it_is_logged(staff: Client) -> None:
    new_key = api_keys.create(
        customer_of(make_person()), created_by=None, name="job", scope_names=["credits:read"]
    )
    action = {"action": "revoke", "_selected_action": [str(new_key.api_key.pk)]}

    staff.post("/admin/accounts/apikey/", action)
    staff.post("/admin/accounts/apikey/", action)

    assert api_keys.authenticate(new_key.secret) is None
    entry = LogEntry.objects.get()
    assert entry.object_id == str(new_key.api_key.pk)
    assert "Revoked" in entry.get_change_message()


def test_keys_are_neither_added_nor_changed_there(staff: Client) -> None:
    new_key = api_keys.create(
        customer_of(make_person()), created_by=None, name="job", scope_names=["credits:read"]
    )
    url = f"/admin/accounts/apikey/{new_key.api_key.pk}/change/"

    assert staff.get("/admin/accounts/apikey/add/").status_code == 403
    staff.post(url, {"name": "hacked", "scopes": "credits:purchase", "secret_hash": "0" * 64})

    api_key = ApiKey.objects.get()
    assert (api_key.name, api_key.scopes) == ("job", ["credits:read"])
    assert api_key.secret_hash == new_key.api_key.secret_hash


def test_the_anchor_cannot_be_moved_by_hand(staff: Client) -> None:
    customer = customer_of(make_person())
    form = {
        "name": "Ada",
        "email": "ada@example.com",
        "time_zone": "UTC",
        "country": "",
        "allowed_to_owe": "on",
        "anchor_at_0": "2000-01-01",
        "anchor_at_1": "00:00",
        "kind": "team",
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
    }

    staff.post(f"/admin/accounts/customer/{customer.pk}/change/", form)

    changed = Customer.objects.get(pk=customer.pk)
    assert (changed.name, changed.allowed_to_owe) == ("Ada", True)
    assert (changed.anchor_at, changed.kind) == (customer.anchor_at, customer.kind)


def user_form(user: User, **changes: str) -> dict[str, str]:
    """What the admin's page of a user sends."""
    form = {
        "email": user.email,
        "name": user.name,
        "is_active": "on",
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
    }
    return form | changes


def test_staff_below_superusers_hand_out_no_rights() -> None:
    helper = make_person()
    helper.is_staff = True
    helper.save(update_fields=["is_staff"])
    helper.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    client = Client()
    client.force_login(helper, backend="django.contrib.auth.backends.ModelBackend")
    boss = make_staff()
    url = "/admin/accounts/user/{}/"

    client.post(
        url.format(helper.pk) + "change/", user_form(helper, name="Helper", is_superuser="on")
    )
    client.post(url.format(boss.pk) + "change/", user_form(boss, name="Fallen"))
    passwords = {"password1": "a new passphrase", "password2": "a new passphrase"}
    refused = client.post(url.format(boss.pk) + "password/", passwords)

    helper.refresh_from_db()
    boss.refresh_from_db()
    assert (helper.name, helper.is_superuser, helper.is_staff) == ("Helper", False, True)
    assert (boss.name, boss.is_superuser) == ("", True)
    assert refused.status_code == 403
    assert boss.check_password(PASSWORD)


def test_customers_come_from_signing_up_only(staff: Client) -> None:
    assert staff.get("/admin/accounts/customer/add/").status_code == 403
