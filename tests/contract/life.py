"""A life of a shop: everything the sandbox can be brought to say, happening at least once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.contract import billing_life, people_life
from tests.sandbox.server import API_KEY, Sandbox

PLAIN_GET = {"Authorization": f"Bearer {API_KEY}"}

# path -> what can be expanded there
LISTS = {
    "/v1/balance_transactions": ["data.source"],
    "/v1/charges": ["data.balance_transaction", "data.refunds.data.balance_transaction"],
    "/v1/checkout/sessions": [
        "data.customer",
        "data.line_items",
        "data.payment_intent",
        "data.total_details.breakdown",
    ],
    "/v1/coupons": ["data.applies_to"],
    "/v1/customers": ["data.sources", "data.subscriptions", "data.tax", "data.tax_ids"],
    "/v1/disputes": ["data.charge", "data.payment_intent"],
    "/v1/events": [],
    "/v1/payment_intents": ["data.latest_charge.balance_transaction", "data.payment_method"],
    "/v1/prices": ["data.product", "data.currency_options", "data.tiers"],
    "/v1/products": ["data.default_price"],
    "/v1/promotion_codes": ["data.promotion.coupon", "data.customer"],
    "/v1/refunds": [
        "data.balance_transaction",
        "data.charge",
        "data.failure_balance_transaction",
        "data.payment_intent",
    ],
    "/v1/webhook_endpoints": [],
    **billing_life.LISTS,
    **people_life.LISTS,
}
SINGLE = ["/v1/account", "/v1/balance"]

# Every type of event that the sandbox knows how to tell.
EVENTS = {
    *("charge.dispute.closed", "charge.dispute.created", "charge.dispute.funds_reinstated"),
    *("charge.dispute.funds_withdrawn", "charge.dispute.updated"),
    *("charge.failed", "charge.pending", "charge.refund.updated", "charge.refunded"),
    *("charge.succeeded", "charge.updated"),
    *("checkout.session.async_payment_failed", "checkout.session.async_payment_succeeded"),
    *("checkout.session.completed", "checkout.session.expired"),
    *("coupon.created", "coupon.deleted", "coupon.updated"),
    *("customer.created", "customer.deleted", "customer.updated"),
    *("payment_intent.canceled", "payment_intent.created", "payment_intent.payment_failed"),
    *("payment_intent.processing", "payment_intent.requires_action", "payment_intent.succeeded"),
    *("price.created", "price.updated", "product.created", "product.deleted", "product.updated"),
    *("promotion_code.created", "promotion_code.updated"),
    *("refund.created", "refund.failed", "refund.updated"),
    *billing_life.EVENTS,
    *people_life.EVENTS,
}


def live(sandbox: Sandbox) -> None:
    """Make everything happen."""
    customer = _people(sandbox)
    price = _catalogue(sandbox)
    code = _codes(sandbox)
    _sales(sandbox, customer, price, code)
    _refunds(sandbox)
    _disputes(sandbox)
    people_life.live(sandbox)
    billing_life.live(sandbox)


def _people(sandbox: Sandbox) -> str:
    customers = sandbox.api().v1.customers
    customer = customers.create(
        params={
            "name": "A. Buyer",
            "metadata": {"customer": "1"},
            "address": {"country": "DE", "city": "Berlin"},
            "shipping": {"name": "A. Buyer", "address": {"line1": "1"}, "phone": "1"},
        }
    )
    customers.update(customer.id, params={"phone": "123", "metadata": {"customer": "2"}})
    gone = customers.create(params={"email": "gone@example.com"})
    customers.delete(gone.id)
    return customer.id


def _catalogue(sandbox: Sandbox) -> str:
    api = sandbox.api().v1
    features: Any = [{"name": "credits"}]
    api.products.create(params={"id": "pack", "name": "Pack", "marketing_features": features})
    amounts: Any = {"currency": "usd", "product": "pack", "lookup_key": "pack"}
    old: Any = {**amounts, "unit_amount": 400}
    api.prices.create(params=old)
    new: Any = {**amounts, "unit_amount": 500, "transfer_lookup_key": True}
    new["tax_behavior"] = "exclusive"
    price = api.prices.create(params=new)
    api.prices.create(
        params={
            "currency": "usd",
            "unit_amount": 2999,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Plan"},
        }
    )
    api.products.update("pack", params={"default_price": price.id})
    empty = api.products.create(params={"name": "Empty"})
    api.products.delete(empty.id)
    return price.id


def _codes(sandbox: Sandbox) -> str:
    api = sandbox.api().v1
    tenth = api.coupons.create(params={"percent_off": 10, "max_redemptions": 3})
    api.promotion_codes.create(params=_promotion(tenth.id, code="TENTH"))
    off: Any = {"id": "off", "name": "One off", "amount_off": 100, "currency": "usd"}
    off["applies_to"] = {"products": ["pack"]}
    api.coupons.create(params=off)
    free = api.coupons.create(params={"percent_off": 100, "duration": "forever"})
    api.promotion_codes.create(params=_promotion(free.id, code="FREE"))
    gone = api.coupons.create(
        params={"percent_off": 5, "duration": "repeating", "duration_in_months": 2}
    )
    api.coupons.delete(gone.id)
    return "TENTH"


def _promotion(coupon: str, **more: Any) -> Any:
    return {"promotion": {"type": "coupon", "coupon": coupon}, **more}


def _sales(sandbox: Sandbox, customer: str, price: str, code: str) -> None:
    sandbox.control("settings", tax_bps=1900, balance_delay_seconds=-1)
    common: dict[str, Any] = {
        "line_items": [{"price": price, "quantity": 2}],
        "automatic_tax": {"enabled": True},
        "metadata": {"order_id": "1"},
    }
    taxed = sandbox.session(
        customer=customer,
        customer_update={"address": "auto"},
        allow_promotion_codes=True,
        payment_intent_data={"metadata": {"order_id": "1"}, "description": "Credits"},
        **common,
    )
    pay = f"sessions/{taxed.id}/pay"
    assert sandbox.control(pay, card="4000000000009995")["outcome"] == "declined"
    assert sandbox.control(pay, card="4000002500003155")["outcome"] == "challenge"
    sandbox.control(f"sessions/{taxed.id}/authenticate", outcome="failed")
    assert sandbox.control(pay, card="4000002500003155")["outcome"] == "challenge"
    done = sandbox.control(f"sessions/{taxed.id}/authenticate", outcome="authorised")
    intent = sandbox.api().v1.payment_intents.retrieve(done["session"]["payment_intent"])
    sandbox.control(f"charges/{intent.latest_charge}/settle")
    sandbox.control("settings", balance_delay_seconds=0)
    sandbox.paid(discounts=[{"coupon": "off"}], **common)
    coded = sandbox.session(allow_promotion_codes=True, customer_creation="always", **common)
    assert sandbox.control(f"sessions/{coded.id}/pay", promotion_code=code)["outcome"] == "paid"
    gift = sandbox.session(allow_promotion_codes=True)
    assert sandbox.control(f"sessions/{gift.id}/pay", promotion_code="FREE")["outcome"] == "free"
    for outcome in ("succeeded", "failed"):
        debit = sandbox.session()
        sandbox.control(f"sessions/{debit.id}/pay", method="bank_debit")
        sandbox.control(f"sessions/{debit.id}/settle", outcome=outcome)
    sandbox.control(f"sessions/{sandbox.session().id}/pay", method="bank_debit")
    begun = sandbox.session()
    sandbox.control(f"sessions/{begun.id}/pay", card="4000000000000002")
    sandbox.api().v1.checkout.sessions.expire(begun.id)
    sandbox.session()


def _refunds(sandbox: Sandbox) -> None:
    refunds = sandbox.api().v1.refunds
    for outcome in ("succeeded", "pending", "requires_action", "failed"):
        sandbox.control("settings", refund_outcome=outcome)
        intent = str(sandbox.paid(metadata={"order_id": outcome}).payment_intent)
        refund = refunds.create(params={"payment_intent": intent, "amount": 200})
        if outcome == "requires_action":
            refunds.cancel(refund.id)
        if outcome == "pending":
            sandbox.control(f"refunds/{refund.id}/settle", outcome="succeeded")
        if outcome == "succeeded":
            sandbox.control(f"refunds/{refund.id}/settle", outcome="failed")
        refunds.create(params={"payment_intent": intent, "reason": "duplicate"})
    sandbox.control("settings", refund_outcome="succeeded")
    debit = sandbox.session()
    sandbox.control(f"sessions/{debit.id}/pay", method="bank_debit")
    settled = sandbox.control(f"sessions/{debit.id}/settle", outcome="succeeded")
    refunds.create(params={"payment_intent": settled["payment_intent"]})


def _disputes(sandbox: Sandbox) -> None:
    """One of every card and of every way a dispute can end, and two that have not ended."""
    api = sandbox.api().v1.disputes
    for card in ("4000000000000259", "4000000000001976"):
        session = sandbox.session(customer_creation="always")
        sandbox.control(f"sessions/{session.id}/pay", card=card)
    asked, disputed = api.list().data
    api.update(disputed.id, params={"evidence": {"product_description": "a"}, "submit": False})
    api.update(disputed.id, params={"evidence": {"uncategorized_text": "winning_evidence"}})
    api.update(asked.id, params={"evidence": {"uncategorized_text": "escalate_inquiry_evidence"}})
    charge = str(disputed.charge)
    closed = sandbox.control(f"charges/{charge}/dispute", inquiry=True, amount_minor=100)
    sandbox.control(f"disputes/{closed['id']}/settle", outcome="warning_closed")
    lost = sandbox.control(f"charges/{charge}/dispute", reason="general", amount_minor=100)
    api.close(lost["id"])
    sandbox.control(f"charges/{charge}/dispute", inquiry=True)


def everything(sandbox: Sandbox) -> Iterator[tuple[str, dict[str, Any]]]:
    """(how it was asked for, answer) for all there is: one by one, listed, expanded."""
    for path in SINGLE:
        yield path, get(sandbox, path)
    for path, expansions in LISTS.items():
        for listed in _pages(sandbox, path, {}):
            yield path, listed
            for obj in listed["data"]:
                yield f"{path}/:id", get(sandbox, f"{path}/{obj['id']}")
        if expansions:
            asked = {f"expand[{place}]": field for place, field in enumerate(expansions)}
            for listed in _pages(sandbox, path, asked):
                yield f"{path} expanded", listed
    for path, query in [*billing_life.everything(sandbox), *people_life.everything(sandbox)]:
        yield path, get(sandbox, path, **query)
    yield from _sessions(sandbox)


def _sessions(sandbox: Sandbox) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each session with its lines, expanded as far as they go."""
    for session in get(sandbox, "/v1/checkout/sessions", limit="100")["data"]:
        query = {
            "expand[0]": "line_items.data.discounts",
            "expand[1]": "line_items.data.taxes",
            "expand[2]": "line_items.data.price.product",
        }
        yield "session", get(sandbox, f"/v1/checkout/sessions/{session['id']}", **query)
        yield "lines", get(sandbox, f"/v1/checkout/sessions/{session['id']}/line_items")


def _pages(sandbox: Sandbox, path: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
    after: dict[str, str] = {}
    while True:
        page = get(sandbox, path, limit="50", **query, **after)
        yield page
        if not page["has_more"]:
            return
        after = {"starting_after": page["data"][-1]["id"]}


def get(sandbox: Sandbox, path: str, **query: str) -> dict[str, Any]:
    """A GET as it goes over the wire: no library between the answer and the test."""
    answer = sandbox.http.get(path, params=query, headers=PLAIN_GET)
    assert answer.status_code == 200, (path, query, answer.text)
    found: dict[str, Any] = answer.json()
    return found
