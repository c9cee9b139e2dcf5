"""What the database refuses about people and parties."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from accounts.models import ApiKey, Customer, Membership, User
from tests.accounts.factories import customer_of, join, make_person, make_team

pytestmark = pytest.mark.django_db


def test_an_address_is_kept_in_lower_case() -> None:
    user = User.objects.create_user("  Ada@Example.COM ", "x")

    assert user.email == "ada@example.com"
    assert User.objects.get_by_natural_key("ADA@example.com") == user


def test_one_address_is_one_user_however_it_is_typed() -> None:
    User.objects.create_user("ada@example.com")

    with pytest.raises(IntegrityError, match="email"), transaction.atomic():
        User.objects.create_user("ADA@example.com")
    with pytest.raises(IntegrityError, match="user_email_lower_case"), transaction.atomic():
        User.objects.filter(email="ada@example.com").update(email="ADA@example.com")


def test_raw_sql_cannot_sneak_a_second_spelling_in() -> None:
    user = make_person("ada@example.com")

    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO accounts_user (id, password, is_superuser, email, name, is_active,"
            " is_staff, date_joined) SELECT gen_random_uuid(), '', false, 'Ada@example.com', '',"
            " true, false, date_joined FROM accounts_user WHERE id = %s",
            [user.pk],
        )


def test_a_user_needs_an_address() -> None:
    with pytest.raises(ValueError, match="e-mail"):
        User.objects.create_user("")


def test_a_user_cannot_lose_the_address() -> None:
    user = make_person()

    with pytest.raises(IntegrityError, match="user_has_email"), transaction.atomic():
        User.objects.filter(pk=user.pk).update(email="")


def test_a_user_without_password_cannot_log_in() -> None:
    assert not User.objects.create_user("ada@example.com").has_usable_password()


def test_nobody_is_a_member_twice() -> None:
    user = make_person()

    with pytest.raises(IntegrityError, match="membership_once_per_customer"), transaction.atomic():
        Membership.objects.create(user=user, customer=customer_of(user))


@pytest.mark.parametrize(
    ("field", "value", "constraint"),
    [
        ("kind", "robot", "customer_is_person_or_team"),
        ("country", "de", "customer_country_is_iso_code"),
        ("country", "D", "customer_country_is_iso_code"),
    ],
)
def test_a_customer_is_what_it_can_be(field: str, value: str, constraint: str) -> None:
    customer = customer_of(make_person())

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Customer.objects.filter(pk=customer.pk).update(**{field: value})


def test_an_unknown_role_is_refused() -> None:
    user = make_person()

    with pytest.raises(IntegrityError, match="membership_role_known"), transaction.atomic():
        Membership.objects.filter(user=user).update(role="emperor")


def test_a_time_zone_is_one_that_exists() -> None:
    customer = customer_of(make_person())
    customer.time_zone = "Mars/Olympus"

    with pytest.raises(ValidationError, match="time zone"):
        customer.full_clean()


@pytest.mark.parametrize("text", ["bp_live_secret", "A" * 64, ""])
def test_a_key_s_row_can_only_hold_a_hash(text: str) -> None:
    customer = customer_of(make_person())

    with pytest.raises(IntegrityError, match="api_key_stores_hash_only"), transaction.atomic():
        ApiKey.objects.create(customer=customer, name="x", prefix="p", secret_hash=text)


def test_only_paying_roles_pay() -> None:
    team = make_team(make_person())

    may_pay = {
        role: Membership.objects.get(user=join(team, role), customer=team).may_pay
        for role in Membership.Role
    }

    assert may_pay == {"owner": True, "billing": True, "member": False}
