"""A day on which everything went wrong once: what differs is planted, and known by name.

What the provider did and nobody told us is done while its webhooks are dropped; what we booked
otherwise is booked through our services, or by SQL with triggers off where they would refuse it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import stripe
from django.db import connection, transaction

from billing.models import Dispute, DisputeState, Order, Payment, RefundState, Subscription
from billing.money import USD
from billing.rails.card import catalogue_sync, customers, disputes, objects
from billing.services import disputes as our_disputes
from billing.services import payments, refunds
from billing.services.charges import Charge, Reason, Term
from billing.services.rails import RefundAnswer
from common import clock
from tests.end_to_end import subscribers
from tests.end_to_end.till import SANDBOX, Till

Named = tuple[str, str]

_NUMBERS = itertools.count(1)


@dataclass
class Day:
    """Plants differences; ``safe`` and ``unsafe`` are what reconciliation has to name.

    ``besides`` is named only as long as nothing is repaired: one repair puts both right.
    """

    till: Till
    safe: set[Named] = field(default_factory=set)
    unsafe: set[Named] = field(default_factory=set)
    besides: set[Named] = field(default_factory=set)

    def ghost(self, kind: str) -> str:
        """An id that the provider has never given to anything."""
        return f"{kind}_ghost{next(_NUMBERS)}"

    @property
    def all(self) -> set[Named]:
        """Everything that differs."""
        return self.safe | self.unsafe | self.besides

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Let the provider act and its webhooks get lost."""
        self.till.settle_down()
        self.till.control("faults", kind="drop", type="*", count=10_000)
        try:
            yield
        finally:
            self.till.portal.sandbox("DELETE", f"{SANDBOX}/faults")

    def paid(self, count: int) -> list[Payment]:
        """Payments of a small package that we know of."""
        orders = [self.till.order() for _ in range(count)]
        for order in orders:
            assert self.till.pay(order.external_id) == "paid"
        self.till.settle_down()
        return [Payment.objects.get(order=order) for order in orders]


def tamper(sql: str, *values: str) -> None:
    """Write past every trigger, as a slip with psql might."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, values)
        assert cursor.rowcount == 1, sql


def intent_of(order: Order) -> str:
    """The provider's name for the payment of an order."""
    return str(stripe.checkout.Session.retrieve(order.external_id).payment_intent)


def charge_of(payment: Payment) -> str:
    """The provider's name for the charge of a payment."""
    return str(stripe.PaymentIntent.retrieve(payment.external_id).latest_charge)


def an_amount(intent_id: str, amount_minor: int, customer: object) -> Charge:
    """A charge that names no order, as a rail reports it."""
    return Charge(
        rail="card",
        external_id=intent_id,
        asset=USD,
        amount_minor=amount_minor,
        subtotal_minor=amount_minor,
        discount_minor=0,
        tax_minor=0,
        occurred_at=clock.now().replace(microsecond=0),
        customer=customer,  # type: ignore[arg-type]
        order_id=None,
    )


def plant_payments(day: Day) -> None:
    """One missing, one made twice, one of another amount, one that never was, one too early."""
    (known,) = day.paid(1)
    assert known.order is not None
    ordered, other, free, debit = (day.till.order() for _ in range(4))
    with day.unheard():
        day.till.pay(ordered.external_id)
        twice = day.till.another_session(known.order)
        day.till.pay(twice)
        day.till.pay(other.external_id)
        day.till.pay(debit.external_id, method="bank_debit")
        coupon = stripe.Coupon.create(percent_off=100, duration="once")
        gift = stripe.PromotionCode.create(promotion={"type": "coupon", "coupon": coupon.id})
        assert day.till.pay(free.external_id, promotion_code=gift.code) == "free"
    booked = payments.settle(an_amount(intent_of(other), 6_00, other.customer))
    payments.book_fee(booked.pk, 45)
    ghost = payments.settle(an_amount(day.ghost("pi"), 7_00, known.customer))
    early = payments.settle(an_amount(intent_of(debit), 5_00, debit.customer))
    second = str(stripe.checkout.Session.retrieve(twice).payment_intent)
    day.safe |= {
        ("payment_missing", intent_of(ordered)),
        ("payment_duplicate", second),
        ("order_state_differs", str(free.pk)),
    }
    day.unsafe |= {
        ("payment_amount_differs", booked.external_id),
        ("payment_unknown", ghost.external_id),
        ("payment_state_differs", early.external_id),
    }


def plant_fees(day: Day) -> None:
    """One that is missing and one of another amount."""
    day.till.control("settings", balance_delay_seconds=-1)
    try:
        missing, wrong = day.paid(2)
    finally:
        day.till.control("settings", balance_delay_seconds=0)
    assert (missing.fee_minor, wrong.fee_minor) == (None, None)
    payments.book_fee(wrong.pk, 50)
    with day.unheard():
        for payment in (missing, wrong):
            day.till.control(f"charges/{charge_of(payment)}/settle")
    day.safe.add(("fee_missing", missing.external_id))
    day.unsafe.add(("fee_amount_differs", wrong.external_id))


def plant_refunds(day: Day) -> None:
    """One missing, one made twice, one of another amount, one that never was, two misjudged."""
    bare, doubled, wrong, ghostly, failing, arrived = day.paid(6)
    ours = day.till.refund(doubled, amount_minor=1_00)
    ended = day.till.refund(failing, amount_minor=1_00)
    given_up = day.till.refund(arrived, amount_minor=1_00)
    with day.unheard():
        missing = stripe.Refund.create(payment_intent=bare.external_id, amount=2_00)
        second = stripe.Refund.create(
            payment_intent=doubled.external_id, amount=1_00, metadata={"refund_id": str(ours.pk)}
        )
        larger = stripe.Refund.create(payment_intent=wrong.external_id, amount=3_00)
        day.till.control(f"refunds/{ended.external_id}/settle", outcome="failed")
    name = str(given_up.external_id)
    refunds.record(given_up.pk, RefundAnswer(name, RefundState.FAILED, "a slip"))
    ghost = day.ghost("re")
    for payment, amount_minor, name in ((wrong, 2_00, larger.id), (ghostly, 1_00, ghost)):
        answer = RefundAnswer(name, RefundState.SUCCEEDED)
        refunds.record_foreign(payment.pk, amount_minor=amount_minor, reason="x", answer=answer)
    day.safe |= {
        ("refund_missing", missing.id),
        ("refund_duplicate", second.id),
        ("refund_state_differs", str(ended.external_id)),
    }
    day.unsafe |= {
        ("refund_amount_differs", larger.id),
        ("refund_unknown", ghost),
        ("refund_state_differs", str(given_up.external_id)),
    }


def _book_wrongly(payment: Payment, name: str, like: str, amount_minor: int) -> None:
    """Record a dispute that took another amount than the provider's one it is like."""
    claim = disputes.claim(objects.dispute(like))
    told = replace(claim, external_id=name, amount_minor=amount_minor, withdrawn_minor=amount_minor)
    our_disputes.record(payment.pk, told)


def plant_disputes(day: Day) -> None:
    """One missing, a second one, one of another amount, one that never was, two misjudged."""
    bare, twice, wrong, ghostly, losing, hoping = day.paid(6)
    asked = day.till.control(f"charges/{charge_of(twice)}/dispute", inquiry=True)["id"]
    day.till.control(f"disputes/{asked}/settle", outcome="warning_closed")
    lost = day.till.control(f"charges/{charge_of(losing)}/dispute")["id"]
    open_still = day.till.control(f"charges/{charge_of(hoping)}/dispute")["id"]
    with day.unheard():
        missing, second, larger = (
            str(day.till.control(f"charges/{charge_of(one)}/dispute")["id"])
            for one in (bare, twice, wrong)
        )
        day.till.control(f"disputes/{lost}/settle", outcome="lost")
    ghost = day.ghost("du")
    _book_wrongly(wrong, larger, larger, 6_00)
    _book_wrongly(ghostly, ghost, larger, 5_00)
    claim = disputes.claim(objects.dispute(open_still))
    hoped = replace(
        claim, state=DisputeState.WON, provider_status="won", reinstated_minor=claim.amount_minor
    )
    our_disputes.record(hoping.pk, hoped)
    assert Dispute.objects.filter(external_id=lost, state=DisputeState.OPEN).exists()
    day.safe |= {
        ("dispute_missing", missing),
        ("dispute_duplicate", second),
        ("dispute_state_differs", lost),
    }
    day.unsafe |= {
        ("dispute_amount_differs", larger),
        ("dispute_unknown", ghost),
        ("dispute_state_differs", open_still),
    }


def plant_invoices(day: Day) -> None:
    """One that is missing, one for time that is billed already, one of another amount."""
    till = day.till
    upgraded, wrong = (subscribers.subscribe(till, till.customer(), "basic") for _ in range(2))
    with day.unheard():
        invoice_id = _upgrade(upgraded)
    day.safe |= {("invoice_missing", invoice_id)}
    day.besides |= {("subscription_plan_differs", upgraded.external_id)}
    payment = Payment.objects.get(order__period__subscription=wrong)
    for sql in (
        "UPDATE billing_payment SET amount_minor = amount_minor + 1000 WHERE id = %s",
        (
            "UPDATE billing_transfer SET amount_minor = amount_minor + 1000 "
            "WHERE key = 'payment:' || %s || ':fund'"
        ),
        (
            "UPDATE billing_order SET subtotal_minor = subtotal_minor + 1000 "
            "WHERE id = (SELECT order_id FROM billing_payment WHERE id = %s)"
        ),
        (
            "UPDATE billing_subscriptionperiod SET cost_minor = cost_minor + 1000 "
            "WHERE order_id = (SELECT order_id FROM billing_payment WHERE id = %s)"
        ),
    ):
        tamper(sql, str(payment.pk))
    day.unsafe |= {("invoice_amount_differs", payment.external_id)}


def plant_a_period_billed_twice(day: Day) -> None:
    """We billed the next month by hand, and the provider bills it as well. Moves the clock."""
    subscription = subscribers.subscribe(day.till, day.till.customer())
    order = day.till.buy(subscription.customer)
    with day.unheard():
        session = day.till.another_session(order, subtotal_minor=subscription.price_minor)
        day.till.pay(session)
        intent_id = str(stripe.checkout.Session.retrieve(session).payment_intent)
        charge = an_amount(intent_id, subscription.price_minor, subscription.customer)
        booked = payments.settle(_with_term(charge, subscription))
        made = stripe.PaymentIntent.retrieve(
            intent_id, expand=["latest_charge.balance_transaction"]
        ).to_dict()
        payments.book_fee(booked.pk, made["latest_charge"]["balance_transaction"]["fee"])
        subscribers.advance(day.till, timedelta(days=32), step=timedelta(days=8))
    newest = stripe.Subscription.retrieve(subscription.external_id).latest_invoice
    day.safe.add(("invoice_duplicate", str(newest)))


def _with_term(charge: Charge, subscription: Subscription) -> Charge:
    """The same for the period after the one that runs."""
    item = stripe.Subscription.retrieve(subscription.external_id).to_dict()["items"]["data"][0]
    length = item["current_period_end"] - item["current_period_start"]
    ends_at = objects.moment(item["current_period_end"] + max(length, 31 * 86_400))
    return _term(charge, subscription, "in_by_hand", Reason.RENEWAL, ends_at=ends_at)


def _term(
    charge: Charge, like: Subscription, invoice: str, reason: Reason, **more: object
) -> Charge:
    terms = {
        "rail": "card",
        "subscription_id": like.external_id,
        "invoice_id": invoice,
        "reason": reason,
        "plan_slug": like.plan_slug,
        "interval": like.interval,
        "price_minor": like.price_minor,
        "asset": USD,
        "starts_at": like.period_ends_at,
        "ends_at": like.period_ends_at + timedelta(days=30),
        "anchor_at": like.anchor_at,
        "is_trial": False,
        "order_id": None,
    }
    told = {name: getattr(charge, name) for name in Charge.__dataclass_fields__}
    return Charge(**{**told, "term": Term(**{**terms, **more})})  # type: ignore[arg-type]


def _upgrade(subscription: Subscription) -> str:
    """Change the plan at the provider's own dashboard; the invoice that bills it."""
    price_id = _price_id("premium")
    item = stripe.Subscription.retrieve(subscription.external_id).to_dict()["items"]["data"][0]
    changed = stripe.Subscription.modify(
        subscription.external_id,
        items=[{"id": item["id"], "price": price_id}],
        proration_behavior="always_invoice",
    )
    return str(changed.latest_invoice)


def _price_id(plan: str) -> str:
    """The provider's name for what a plan costs a month."""
    catalogue_sync.sync()
    (price,) = stripe.Price.list(lookup_keys=[f"plan_{plan}_month_usd"]).data
    return price.id


def plant_subscriptions(day: Day) -> None:
    """One missing, two of one customer, others of another state or time, one that never was."""
    till = day.till
    cancelled, stretched, first = (subscribers.subscribe(till, till.customer()) for _ in range(3))
    new = subscribers.order_plan(till, till.customer())
    second = _second(day, first)
    with day.unheard():
        till.pay(new.external_id)
        stripe.Subscription.modify(cancelled.external_id, cancel_at_period_end=True)
    made = stripe.checkout.Session.retrieve(new.external_id)
    tamper(
        "UPDATE billing_subscription SET period_ends_at = period_ends_at + interval '1 day' "
        "WHERE id = %s",
        str(stretched.pk),
    )
    ghost = an_amount(day.ghost("pi"), first.price_minor, till.customer())
    like = Subscription(
        external_id=day.ghost("sub"), plan_slug="premium", interval="month",
        price_minor=first.price_minor, anchor_at=clock.now(), period_ends_at=clock.now(),
    )  # fmt: skip
    payments.settle(_term(ghost, like, day.ghost("in"), Reason.FIRST))
    day.safe |= {
        ("invoice_missing", str(made.invoice)),
        ("subscription_duplicate", second.external_id),
        ("subscription_state_differs", cancelled.external_id),
        ("subscription_period_differs", stretched.external_id),
    }
    day.besides |= {("subscription_missing", str(made.subscription))}
    day.unsafe |= {
        ("subscription_unknown", like.external_id),
        ("payment_unknown", ghost.external_id),
    }


def _second(day: Day, first: Subscription) -> Subscription:
    """A second plan that slipped through, was kept and flagged; and then lost its flag."""
    price_id = _price_id("basic")
    session = stripe.checkout.Session.create(
        mode="subscription",
        customer=customers.ensure(first.customer),
        line_items=[{"price": price_id, "quantity": 1}],
        success_url=f"{day.till.portal.url}/",
    )
    day.till.pay(session.id)
    day.till.settle_down()
    made = stripe.checkout.Session.retrieve(session.id)
    second = Subscription.objects.get(external_id=str(made.subscription))
    assert second.is_duplicate
    tamper("UPDATE billing_subscription SET is_duplicate = false WHERE id = %s", str(second.pk))
    return second


def plant_what_nobody_goes_on_with(day: Day) -> None:
    """A subscription that ended here only, and an order whose pay page is nowhere."""
    ended = subscribers.subscribe(day.till, day.till.customer())
    tamper(
        "UPDATE billing_subscription SET status = 'ended', ended_at = now() WHERE id = %s",
        str(ended.pk),
    )
    order = day.till.order()
    Order.objects.filter(pk=order.pk).update(
        external_id=day.ghost("cs_test"), expires_at=clock.now() - timedelta(hours=1)
    )
    day.unsafe |= {
        ("subscription_state_differs", ended.external_id),
        ("order_unknown", str(order.pk)),
    }
