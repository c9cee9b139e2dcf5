"""Opening customers, and finding whom a user acts for."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts import selectors, services
from accounts.models import Customer, Membership, User
from common import clock
from common.ids import uuid7
from tests.accounts.factories import customer_of, join, make_person, make_staff, make_team


@pytest.mark.django_db
class TestOpening:
    def test_a_person_gets_a_customer_with_their_name_and_address(self) -> None:
        at = datetime(2030, 5, 31, 12, tzinfo=UTC)
        with clock.frozen(at):
            user = services.register_person(
                email="Ada@Example.com", password="x", name="Ada", email_verified=True
            )

        customer = customer_of(user)
        assert (customer.kind, customer.name, customer.email) == ("person", "Ada", user.email)
        assert (customer.time_zone, customer.allowed_to_owe) == ("UTC", False)
        assert customer.anchor_at == at
        assert customer.memberships.get().role == Membership.Role.OWNER

    def test_asking_again_opens_nothing_new(self) -> None:
        user = make_person()

        assert services.open_personal_customer(user) == customer_of(user)
        assert Customer.objects.filter(memberships__user=user).count() == 1

    def test_a_team_does_not_count_as_the_person(self) -> None:
        user = User.objects.create_user("ada@example.com")
        make_team(user)

        customer = services.open_personal_customer(user)

        assert customer.kind == Customer.Kind.PERSON
        assert user.customers.count() == 2

    def test_a_taken_address_leaves_nothing_behind(self) -> None:
        make_person("ada@example.com")

        with pytest.raises(IntegrityError), transaction.atomic():
            make_person("ADA@example.com")

        assert Customer.objects.filter(email="ada@example.com").count() == 1


@pytest.mark.django_db(transaction=True)
def test_opened_by_many_at_once_there_is_one() -> None:
    user = User.objects.create_user("ada@example.com")
    barrier = Barrier(6)

    def open_it() -> Customer:
        barrier.wait(10)
        try:
            return services.open_personal_customer(user)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        opened = [future.result(20) for future in [pool.submit(open_it) for _ in range(6)]]

    assert len(set(opened)) == 1
    assert Customer.objects.count() == 1


@pytest.mark.django_db
class TestActingFor:
    def test_a_person_acts_for_themselves(self) -> None:
        user = make_person()
        make_team(user)

        assert selectors.current_customer(user) == customer_of(user)

    def test_or_for_the_team_they_chose(self) -> None:
        user = make_person()
        team = make_team(user)

        assert selectors.current_customer(user, chosen_id=team.pk) == team

    def test_but_not_for_a_team_of_others(self) -> None:
        user = make_person()
        theirs = make_team(make_person())

        assert selectors.current_customer(user, chosen_id=theirs.pk) == customer_of(user)
        assert selectors.current_customer(user, chosen_id=uuid7()) == customer_of(user)

    def test_who_was_removed_acts_no_more(self) -> None:
        team = make_team(make_person())
        user = join(team, Membership.Role.BILLING)
        Membership.objects.filter(user=user, customer=team).delete()

        assert selectors.current_customer(user, chosen_id=team.pk) == customer_of(user)

    def test_someone_with_only_a_team_acts_for_it(self) -> None:
        user = User.objects.create_user("ada@example.com")
        team = make_team(user)

        assert selectors.current_customer(user) == team

    def test_staff_and_nobody_act_for_nobody(self) -> None:
        assert selectors.current_customer(make_staff()) is None
        assert selectors.current_customer(AnonymousUser()) is None

    def test_it_takes_one_query(self) -> None:
        user = make_person()

        with CaptureQueriesContext(connection) as queries:
            membership = selectors.current_membership(user)
            assert membership is not None
            assert membership.customer.email == user.email

        assert len(queries) == 1


@pytest.mark.django_db
class TestFollowingEmail:
    def test_the_billing_address_follows_where_it_was_the_same(self) -> None:
        user = make_person("old@example.com")
        user.email = "new@example.com"
        user.save(update_fields=["email"])

        services.follow_email(user, old_email="old@example.com")

        assert customer_of(user).email == "new@example.com"

    def test_an_address_set_on_purpose_stays(self) -> None:
        user = make_person("old@example.com")
        Customer.objects.filter(memberships__user=user).update(email="books@example.com")
        user.email = "new@example.com"
        user.save(update_fields=["email"])

        services.follow_email(user, old_email="old@example.com")

        assert customer_of(user).email == "books@example.com"
