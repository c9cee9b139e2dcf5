"""API keys: shown once, stored hashed, scoped, revocable."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.core.serializers import serialize
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from accounts import scopes
from accounts.models import ApiKey, Customer, User
from accounts.services import api_keys
from common import clock
from common.errors import Conflict, InvalidInput
from tests.accounts.factories import customer_of, make_person

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def customer() -> Customer:
    return customer_of(make_person())


def make_key(customer: Customer, **changes: object) -> api_keys.NewKey:
    details = {"created_by": None, "name": "job", "scope_names": ["credits:read"]} | changes
    return api_keys.create(customer, **details)  # type: ignore[arg-type]


@pytest.mark.django_db
class TestCreate:
    def test_the_secret_lets_in_and_is_not_stored(self, customer: Customer) -> None:
        new_key = make_key(customer)

        found = api_keys.authenticate(new_key.secret)

        assert found == new_key.api_key
        assert found is not None
        assert found.customer == customer
        stored = serialize("json", ApiKey.objects.all())
        assert new_key.secret not in stored
        assert new_key.secret.rpartition("_")[2] not in stored

    def test_the_secret_is_long_random_and_recognisable(self, customer: Customer) -> None:
        secrets = {make_key(customer).secret for _ in range(10)}

        assert len(secrets) == 10
        for secret in secrets:
            assert secret.startswith("bp_test_")
            assert len(secret.rpartition("_")[2]) == 43

    @override_settings(SANDBOX=False)
    def test_outside_the_sandbox_it_says_live(self, customer: Customer) -> None:
        assert make_key(customer).secret.startswith("bp_live_")

    def test_the_secret_does_not_leak_into_a_log(self, customer: Customer) -> None:
        new_key = make_key(customer)

        assert new_key.secret not in repr(new_key)
        assert new_key.secret not in str(new_key.api_key)

    def test_scopes_are_kept_once_and_in_order(self, customer: Customer) -> None:
        new_key = make_key(
            customer, scope_names=["credits:purchase", "credits:read", "credits:purchase"]
        )

        assert new_key.api_key.scopes == ["credits:read", "credits:purchase"]

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"scope_names": []}, "scopes"),
            ({"scope_names": ["admin:everything"]}, "scopes"),
            ({"scope_names": ["credits:read", "credits:READ"]}, "scopes"),
            ({"name": "   "}, "name"),
            ({"expires_at": NOW}, "expires_at"),
        ],
    )
    def test_nonsense_is_refused_by_field(
        self, customer: Customer, changes: dict[str, object], field: str
    ) -> None:
        with clock.frozen(NOW), pytest.raises(InvalidInput) as refusal:
            make_key(customer, **changes)

        assert list(refusal.value.fields) == [field]
        assert not ApiKey.objects.exists()

    def test_there_is_a_limit_of_live_keys(self, customer: Customer) -> None:
        for _ in range(api_keys.MAX_LIVE_KEYS):
            last = make_key(customer)

        with pytest.raises(Conflict):
            make_key(customer)
        api_keys.revoke(last.api_key)
        make_key(customer)


@pytest.mark.django_db
class TestAuthenticate:
    @pytest.mark.parametrize(
        "secret",
        [
            "",
            "_",
            "bp_test_",
            "bp_test_unknownprefix_" + "a" * 43,
            "bp_test_\0_x",
            "a" * 10_000,
            "bp_test_é_x",
            "' OR 1=1 --_",
        ],
    )
    def test_strangers_stay_outside(self, customer: Customer, secret: str) -> None:
        make_key(customer)

        assert api_keys.authenticate(secret) is None

    def test_the_prefix_alone_is_worth_nothing(self, customer: Customer) -> None:
        new_key = make_key(customer)
        prefix = new_key.api_key.prefix

        for guess in (prefix, f"{prefix}_", f"{prefix}_{'a' * 43}", new_key.secret[:-1]):
            assert api_keys.authenticate(guess) is None
        assert api_keys.authenticate(new_key.secret + "x") is None
        assert api_keys.authenticate(new_key.secret.swapcase()) is None

    def test_a_secret_does_not_work_with_another_key_s_prefix(self, customer: Customer) -> None:
        one, two = make_key(customer), make_key(customer)

        mixed = f"{one.api_key.prefix}_{two.secret.rpartition('_')[2]}"

        assert api_keys.authenticate(mixed) is None

    def test_an_expired_key_is_dead_to_the_second(self, customer: Customer) -> None:
        with clock.frozen(NOW) as hands:
            new_key = make_key(customer, expires_at=NOW + timedelta(days=1))
            hands.move(timedelta(days=1) - timedelta(microseconds=1))
            assert api_keys.authenticate(new_key.secret) is not None

            hands.move(timedelta(microseconds=1))

            assert api_keys.authenticate(new_key.secret) is None

    def test_a_key_dies_with_its_maker_s_log_in(self) -> None:
        user = make_person()
        new_key = make_key(customer_of(user), created_by=user)

        User.objects.filter(pk=user.pk).update(is_active=False)

        assert api_keys.authenticate(new_key.secret) is None

    def test_last_use_is_written_at_most_once_a_minute(self, customer: Customer) -> None:
        with clock.frozen(NOW) as hands:
            new_key = make_key(customer)
            seen = []
            for seconds in (0, 30, 29, 1):
                hands.move(timedelta(seconds=seconds))
                with CaptureQueriesContext(connection) as queries:
                    api_keys.authenticate(new_key.secret)
                seen.append([query["sql"][:6] for query in queries])

        assert seen == [["SELECT", "UPDATE"], ["SELECT"], ["SELECT"], ["SELECT", "UPDATE"]]
        new_key.api_key.refresh_from_db()
        assert new_key.api_key.last_used_at == NOW + timedelta(seconds=60)

    def test_a_refused_key_was_not_used(self, customer: Customer) -> None:
        new_key = make_key(customer)
        api_keys.revoke(new_key.api_key)

        api_keys.authenticate(new_key.secret)

        new_key.api_key.refresh_from_db()
        assert new_key.api_key.last_used_at is None


@pytest.mark.django_db
class TestRevoke:
    def test_a_revoked_key_is_dead_at_once(self, customer: Customer) -> None:
        new_key = make_key(customer)

        assert api_keys.revoke(new_key.api_key)

        assert api_keys.authenticate(new_key.secret) is None

    def test_revoking_twice_keeps_the_first_moment(self, customer: Customer) -> None:
        with clock.frozen(NOW) as hands:
            new_key = make_key(customer)
            api_keys.revoke(new_key.api_key)
            hands.move(timedelta(hours=1))

            assert not api_keys.revoke(ApiKey.objects.get())

        assert ApiKey.objects.get().revoked_at == NOW

    def test_others_keep_working(self, customer: Customer) -> None:
        one, two = make_key(customer), make_key(customer)

        api_keys.revoke(one.api_key)

        assert api_keys.authenticate(two.secret) == two.api_key


@pytest.mark.django_db(transaction=True)
def test_the_limit_holds_in_a_race() -> None:
    customer = customer_of(make_person())
    for _ in range(api_keys.MAX_LIVE_KEYS - 2):
        make_key(customer)
    barrier = Barrier(6)

    def try_it() -> bool:
        barrier.wait(10)
        try:
            make_key(customer)
        except Conflict:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(6) as pool:
        made = [future.result(20) for future in [pool.submit(try_it) for _ in range(6)]]

    assert made.count(True) == 2
    assert ApiKey.objects.count() == api_keys.MAX_LIVE_KEYS


def test_a_scope_is_registered_once_with_one_meaning() -> None:
    assert scopes.register("credits:read", scopes.CREDITS_READ.title) == scopes.CREDITS_READ

    with pytest.raises(ValueError, match="twice"):
        scopes.register("credits:read", "Something else")
