"""The API as Stripe's own library sees it: objects, lists, expansion, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.server import API_KEY, Sandbox


def refused(error: stripe.StripeError) -> tuple[int | None, str | None, str | None]:
    return error.http_status, error.code, getattr(error, "param", None)


def test_customers_are_made_changed_found_by_email_and_deleted(api: stripe.StripeClient) -> None:
    customers = api.v1.customers
    made = customers.create(params={"email": "a@example.com", "metadata": {"a": "1", "b": "2"}})
    customers.create(params={"email": "b@example.com"})

    customers.update(made.id, params={"name": "A", "metadata": {"a": "", "c": "3"}})

    found = customers.list(params={"email": "a@example.com"}).data
    assert [(one.id, one.name) for one in found] == [(made.id, "A")]
    assert found[0].to_dict()["metadata"] == {"b": "2", "c": "3"}
    cleared = customers.update(made.id, params={"name": "", "metadata": ""})
    assert (cleared.name, cleared.to_dict()["metadata"]) == (None, {})
    assert customers.delete(made.id).deleted
    assert customers.retrieve(made.id).deleted
    assert customers.list(params={"email": "a@example.com"}).data == []
    with pytest.raises(stripe.InvalidRequestError) as caught:
        customers.update(made.id, params={"name": "A"})
    assert refused(caught.value) == (404, "resource_missing", "id")


def test_a_product_takes_the_id_it_is_given_once(api: stripe.StripeClient) -> None:
    api.v1.products.create(params={"id": "medium", "name": "Medium"})

    assert api.v1.products.retrieve("medium").name == "Medium"
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        api.v1.products.create(params={"id": "medium", "name": "Medium"})


def test_a_lookup_key_belongs_to_one_price_and_can_move(api: stripe.StripeClient) -> None:
    api.v1.products.create(params={"id": "pack", "name": "Pack"})
    price: Any = {"product": "pack", "currency": "usd", "lookup_key": "pack", "unit_amount": 5}
    first = api.v1.prices.create(params=price)

    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        api.v1.prices.create(params=price)
    price["transfer_lookup_key"] = True
    second = api.v1.prices.create(params=price)

    found = api.v1.prices.list(params={"lookup_keys": ["pack"], "expand": ["data.product"]}).data
    product: Any = found[0].product
    assert [one.id for one in found] == [second.id]
    assert product.name == "Pack"
    assert api.v1.prices.retrieve(first.id).lookup_key is None
    assert len(api.v1.prices.list(params={"product": "pack"}).data) == 2


def test_lists_page_through_everything_newest_first(api: stripe.StripeClient) -> None:
    made = [api.v1.customers.create(params={"name": str(number)}).id for number in range(25)]

    listed = api.v1.customers.list(params={"limit": 10})
    everyone = [one.id for one in listed.auto_paging_iter()]
    after = api.v1.customers.list(params={"limit": 3, "starting_after": made[10]})
    before = api.v1.customers.list(params={"limit": 3, "ending_before": made[10]})

    assert everyone == made[::-1]
    assert (len(listed.data), listed.has_more) == (10, True)
    assert [one.id for one in after.data] == [made[9], made[8], made[7]]
    assert [one.id for one in before.data] == [made[13], made[12], made[11]]


def test_lists_are_bounded_by_time_of_creation(sandbox: Sandbox, api: stripe.StripeClient) -> None:
    old = api.v1.customers.create()
    sandbox.control("clock", advance_seconds=1000)
    new = api.v1.customers.create()

    def ids(**bounds: int) -> list[str]:
        params: Any = {"created": bounds}
        return [one.id for one in api.v1.customers.list(params=params).data]

    assert ids(gte=old.created) == [new.id, old.id]
    assert ids(gt=old.created) == [new.id]
    assert ids(lt=new.created) == [old.id]
    assert ids(gte=old.created, lte=old.created) == [old.id]


def test_sessions_are_found_by_payment_and_customer(sandbox: Sandbox) -> None:
    api = sandbox.api().v1
    customer = api.customers.create(params={"email": "a@example.com"})
    session = sandbox.paid(customer=customer.id)
    sandbox.paid()

    sessions = api.checkout.sessions
    by_payment = sessions.list(params={"payment_intent": str(session.payment_intent)}).data
    by_customer = sessions.list(params={"customer": customer.id}).data

    assert [one.id for one in by_payment] == [session.id]
    assert [one.id for one in by_customer] == [session.id]
    assert sessions.list(params={"status": "open"}).data == []


def test_metadata_goes_where_it_was_put(sandbox: Sandbox) -> None:
    session = sandbox.paid(
        metadata={"order_id": "of the session"},
        client_reference_id="ref",
        payment_intent_data={"metadata": {"order_id": "of the payment"}, "description": "Credits"},
    )
    intent = sandbox.api().v1.payment_intents.retrieve(
        str(session.payment_intent), params={"expand": ["latest_charge"]}
    )

    charge: Any = intent.latest_charge
    assert session.metadata
    assert session.metadata["order_id"] == "of the session"
    assert session.client_reference_id == "ref"
    assert intent.metadata["order_id"] == "of the payment"
    assert charge.metadata["order_id"] == "of the payment"
    assert charge.description == "Credits"


def test_expansion_goes_through_lists_and_several_levels(sandbox: Sandbox) -> None:
    session = sandbox.paid()
    sandbox.api().v1.refunds.create(params={"payment_intent": str(session.payment_intent)})

    charges = sandbox.api().v1.charges.list(
        params={"expand": ["data.payment_intent.payment_method", "data.refunds.data.charge"]}
    )

    charge: Any = charges.data[0]
    assert charge.payment_intent.payment_method.card.last4 == "4242"
    assert charge.refunds.data[0].charge.id == charge.id


@pytest.mark.parametrize("path", ["nonsense", "customer.nonsense", "amount_total", "data"])
def test_what_cannot_be_expanded_is_refused(sandbox: Sandbox, path: str) -> None:
    customer = sandbox.api().v1.customers.create()
    session = sandbox.session(customer=customer.id)

    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        sandbox.api().v1.checkout.sessions.retrieve(session.id, params={"expand": [path]})


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"line_item": "x"}, "parameter_unknown", "line_item"),
        ({"line_items": [{"quantity": 1, "amount": 5}]}, "parameter_unknown", None),
        ({"line_items": ""}, "parameter_missing", "line_items"),
        ({"line_items": [{"price": "price_none", "quantity": 1}]}, "resource_missing", None),
        ({"customer": "cus_none"}, "resource_missing", "customer"),
        ({"success_url": "nowhere"}, "url_invalid", "success_url"),
        ({"success_url": "javascript:alert(1)"}, "url_invalid", "success_url"),
        ({"success_url": ""}, "parameter_invalid_empty", "success_url"),
        ({"subscription_data": {"trial_period_days": 3}}, None, "subscription_data"),
        ({"setup_intent_data": {"description": "a"}}, None, "setup_intent_data"),
        ({"payment_method_collection": "always"}, None, "payment_method_collection"),
        ({"mode": "subscription"}, None, "line_items"),
        ({"mode": "subscription", "submit_type": "pay"}, None, "submit_type"),
        ({"mode": "setup"}, None, "line_items"),
        ({"expires_at": 5}, None, "expires_at"),
        ({"metadata": {"k" * 41: "v"}}, None, None),
        ({"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
        ({"discounts": [{"coupon": "none"}]}, "resource_missing", "discounts[0][coupon]"),
    ],
)
def test_a_session_that_cannot_be_is_refused_by_name(
    sandbox: Sandbox, params: dict[str, Any], code: str | None, param: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sandbox.session(**params)

    assert caught.value.http_status == 400
    assert caught.value.code == code
    assert param is None or caught.value.param == param


def test_a_session_needs_what_stripe_needs(api: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.v1.checkout.sessions.create(params={})

    assert refused(caught.value) == (400, "parameter_missing", "mode")


def test_too_little_to_pay_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sandbox.session(49)

    assert caught.value.code == "amount_too_small"
    assert sandbox.session(50).amount_total == 50


def test_automatic_tax_wants_an_address_or_leave_to_ask_for_one(sandbox: Sandbox) -> None:
    customer = sandbox.api().v1.customers.create()
    taxed: dict[str, Any] = {"customer": customer.id, "automatic_tax": {"enabled": True}}

    with pytest.raises(stripe.InvalidRequestError) as caught:
        sandbox.session(**taxed)

    assert caught.value.code == "customer_tax_location_invalid"
    assert sandbox.session(**taxed, customer_update={"address": "auto"}).id


def test_a_refused_request_leaves_nothing_behind(sandbox: Sandbox) -> None:
    line = {
        "quantity": 1,
        "price_data": {"currency": "usd", "unit_amount": 500, "product_data": {"name": "A"}},
    }
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.session(line_items=[line, {"price": "price_none", "quantity": 1}])

    assert sandbox.api().v1.products.list().data == []


@pytest.mark.parametrize("key", ["sk_live_" + "a" * 24, "rk_live_" + "a" * 24, "nonsense"])
def test_only_test_keys_are_let_in(sandbox: Sandbox, key: str) -> None:
    answer = sandbox.http.get("/v1/account", headers={"Authorization": f"Bearer {key}"})

    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "a" * 24 not in answer.text
    assert sandbox.http.get("/v1/account").status_code == 401
    assert sandbox.http.get("/v1/account", auth=(API_KEY, "")).status_code == 200


def test_the_library_raises_its_own_error_for_a_bad_key(sandbox: Sandbox) -> None:
    with pytest.raises(stripe.AuthenticationError):
        sandbox.api("sk_live_" + "a" * 24).v1.balance.retrieve()


def test_other_accounts_and_versions_are_refused(sandbox: Sandbox) -> None:
    api = sandbox.api()
    own = api.v1.accounts.retrieve_current().id

    assert api.v1.balance.retrieve(options={"stripe_account": own}).livemode is False
    with pytest.raises(stripe.PermissionError):
        api.v1.balance.retrieve(options={"stripe_account": "acct_other"})
    with pytest.raises(stripe.InvalidRequestError, match="API version"):
        api.v1.balance.retrieve(options={"stripe_version": "2020-08-27"})


def test_answers_name_the_request_and_the_version(sandbox: Sandbox) -> None:
    answer = sandbox.http.get("/v1/balance", headers={"Authorization": f"Bearer {API_KEY}"})

    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == stripe.api_version


def test_the_balance_is_the_sum_of_its_transactions(sandbox: Sandbox) -> None:
    sandbox.paid(1000)
    sandbox.paid(2000)

    api = sandbox.api().v1
    net = sum(one.net for one in api.balance_transactions.list().data)

    assert api.balance.retrieve().available[0].amount == net == 3000 - 59 - 88
    charge = api.charges.list().data[0]
    booked = api.balance_transactions.list(params={"source": charge.id}).data
    assert [one.id for one in booked] == [charge.balance_transaction]


def test_a_late_balance_transaction_comes_with_charge_updated(sandbox: Sandbox) -> None:
    sandbox.control("settings", balance_delay_seconds=-1)
    sandbox.paid()
    charge = sandbox.api().v1.charges.list().data[0]
    assert charge.balance_transaction is None

    sandbox.control(f"charges/{charge.id}/settle")
    sandbox.control(f"charges/{charge.id}/settle")

    assert sandbox.api().v1.charges.retrieve(charge.id).balance_transaction
    assert sandbox.event_types().count("charge.updated") == 1
    sandbox.control("settings", balance_delay_seconds=0.1)
    sandbox.paid()
    sandbox.until_quiet()
    assert sandbox.event_types()[-1] == "charge.updated"


def test_a_session_expires_by_itself(sandbox: Sandbox) -> None:
    session = sandbox.session()
    kept = sandbox.session()
    sandbox.control(f"sessions/{kept.id}/pay")

    sandbox.control("clock", advance_seconds=24 * 3600 + 1)
    sandbox.until_quiet()

    sessions = sandbox.api().v1.checkout.sessions
    assert sessions.retrieve(session.id).status == "expired"
    assert sessions.retrieve(kept.id).status == "complete"
    assert sandbox.event_types().count("checkout.session.expired") == 1
    with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
        sessions.expire(session.id)


GARBAGE: list[tuple[str, str, bytes]] = [
    ("POST", "/v1/customers", b"metadata=text"),
    ("POST", "/v1/customers", b"metadata[a][b]=c"),
    ("POST", "/v1/customers", b"address[city][x]=1&address[city]=2"),
    ("POST", "/v1/customers", b"email[]=1"),
    ("POST", "/v1/customers", b"]]][[[=1"),
    ("POST", "/v1/customers", b"=1"),
    ("POST", "/v1/customers", b"a[b][c][d][e][f][g][h][i]=1"),
    ("POST", "/v1/customers", b"\xff\xfe=1"),
    ("POST", "/v1/customers", b"email=%00"),
    ("POST", "/v1/customers", b"name=" + b"x" * 10_000),
    ("POST", "/v1/customers", b"&".join(b"a%d=1" % number for number in range(3000))),
    ("POST", "/v1/checkout/sessions", b"mode=payment&success_url=http://x/&line_items=5"),
    ("POST", "/v1/checkout/sessions", b"mode=payment&success_url=http://[/&line_items[0]=5"),
    ("POST", "/v1/checkout/sessions", b"mode=payment&success_url=http://x/&line_items[a][b]=5"),
    ("POST", "/v1/prices", b"currency=usd&unit_amount=1e9&product=x"),
    ("POST", "/v1/prices", b"currency=usd&unit_amount=-1&product=x"),
    ("POST", "/v1/prices", b"currency=usd&unit_amount=99999999999999999999&product=x"),
    ("POST", "/v1/coupons", b"percent_off=nan"),
    ("POST", "/v1/refunds", b"amount=5"),
    ("POST", "/v1/refunds", b"charge=ch_none"),
    ("GET", "/v1/customers?limit=0", b""),
    ("GET", "/v1/customers?limit=x", b""),
    ("GET", "/v1/customers?starting_after=none", b""),
    ("GET", "/v1/customers?created[no]=1", b""),
    ("GET", "/v1/events?type[]=x", b""),
    ("GET", "/v1/customers?expand=x", b""),
    ("GET", "/v1/customers?expand[]=data.a.b.c.d.e", b""),
]


@pytest.mark.parametrize(("method", "path", "body"), GARBAGE)
def test_garbage_is_refused_in_stripes_way(
    sandbox: Sandbox, method: str, path: str, body: bytes
) -> None:
    headers = {
        "Authorization": f"Bearer {API_KEY}",
        "Content-Type": "application/x-www-form-urlencoded",
    }

    answer = sandbox.http.request(method, path, content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_json_bodies_unknown_addresses_and_floods_are_refused(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    json_body = sandbox.http.post("/v1/customers", json={"name": "A"}, headers=headers)
    unknown = sandbox.http.get("/v1/quotes", headers=headers)
    put = sandbox.http.put("/v1/customers", headers=headers)
    flood = sandbox.http.post("/v1/customers", content=b"x" * 2_000_000, headers=headers)

    assert [one.status_code for one in (json_body, unknown, put, flood)] == [400, 404, 404, 413]
    assert all("error" in one.json() for one in (json_body, unknown, put, flood))
