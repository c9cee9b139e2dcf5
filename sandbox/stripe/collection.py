"""Collecting invoices: finalising them, charging them off-session, and what follows from it."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import events, ids, invoices, payment_intents, subscription_docs
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError
from sandbox.stripe.periods import DAY_SECONDS

KIND = invoices.KIND
DESCRIPTIONS = {"subscription_create": "Subscription creation", "manual": "Payment for Invoice"}


def create(context: Context, invoice: Json, *, finalize_after_seconds: int | None = None) -> Json:
    """Store a draft and tell. With a delay it is finalised and charged then, by the clock."""
    if finalize_after_seconds is not None:
        invoice["automatically_finalizes_at"] = context.now + finalize_after_seconds
        invoice["next_payment_attempt"] = context.now + finalize_after_seconds
    invoices.insert(context, invoice)
    events.emit(context, "invoice.created", invoice)
    return invoice


def finalize(context: Context, invoice: Json, *, by_balance: bool = True) -> Json:
    """Number the draft, settle it ``by_balance`` of the customer and open it for payment."""
    customer = context.tx.get("customer", invoice["customer"])
    balance = int(customer["balance"]) if customer and by_balance else 0
    due, invoice["ending_balance"] = invoices.settled_with(invoice, balance)
    invoice["starting_balance"] = balance
    invoices.owe(invoice, due)
    if customer is not None:
        sequence = customer["next_invoice_sequence"]
        invoice["number"] = f"{customer['invoice_prefix']}-{sequence:04d}"
        customer["next_invoice_sequence"] = sequence + 1
        context.tx.save(customer)
        currency = customer["currency"] or invoice["currency"]
        moved = invoice["ending_balance"] - balance
        _update_customer(context, customer, balance=customer["balance"] + moved, currency=currency)
    invoice |= {
        **invoices.pages_of(context, invoice["id"]),
        "automatically_finalizes_at": None,
        "effective_at": context.now,
        "next_payment_attempt": None,
        "status": "open",
        "webhooks_delivered_at": context.now,
    }
    invoice["status_transitions"]["finalized_at"] = context.now
    invoices.save(context, invoice)
    events.emit(context, "invoice.finalized", invoice)
    return invoice


def _update_customer(context: Context, customer: Json, **fields: object) -> None:
    before = copied(customer)
    customer.update(fields)
    events.save_and_tell(context, "customer.updated", customer, before)


def intent_of(context: Context, invoice: Json) -> Json:
    """The PaymentIntent that collects the invoice, made with its ``invoice_payment`` if need be."""
    for payment in invoices.payments_of(context, invoice["id"]):
        return context.need("payment_intent", payment["payment"]["payment_intent"])
    intent = payment_intents.create(
        context,
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        data={
            "customer": invoice["customer"],
            "description": DESCRIPTIONS.get(invoice["billing_reason"], "Subscription update"),
        },
    )
    add_payment(context, invoice, intent)
    return intent


def add_payment(context: Context, invoice: Json, intent: Json) -> Json:
    """Bind a PaymentIntent to the invoice."""
    payment: Json = {
        "id": ids.new("inpay"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": invoice["amount_due"],
        "created": context.now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    context.tx.insert(payment)
    return payment


def method_for(context: Context, invoice: Json) -> str | None:
    """What the invoice is paid with: the subscription's payment method, else the customer's."""
    subscription = context.tx.get(subscription_docs.KIND, invoices.subscription_of(invoice) or "")
    customer = context.tx.get("customer", invoice["customer"])
    own = subscription and subscription["default_payment_method"]
    usual = customer and customer["invoice_settings"]["default_payment_method"]
    found = invoice["default_payment_method"] or own or usual
    return str(found) if found else None


def collect(
    context: Context, invoice: Json, *, method_id: str | None = None, by_hand: bool = False
) -> bool:
    """Try once to have an open invoice paid; whether it is paid now.

    An attempt made ``by_hand`` leaves the plan of the automatic ones as it is.
    """
    if invoice["amount_due"] == 0:
        settle(context, invoice, None)
        return True
    method_id = method_id or method_for(context, invoice)
    intent = intent_of(context, invoice)
    if method_id is not None:
        payment_intents.attempt_off_session(context, intent, method_id)
    if intent["status"] == "succeeded":
        settle(context, invoice, intent)
        return True
    _failed(context, invoice, intent, by_hand=by_hand)
    return False


def pay_all_with(context: Context, customer: str, method_id: str) -> None:
    """Pay the customer's running subscriptions with this payment method from now on."""
    mine = "json_extract(data, '$.customer') = ?"
    for subscription in context.tx.find(subscription_docs.KIND, mine, (customer,)):
        if subscription["status"] not in subscription_docs.ENDED:
            subscription_docs.change(context, subscription, default_payment_method=method_id)


def settle(context: Context, invoice: Json, intent: Json | None, *, outside: bool = False) -> None:
    """Mark an open invoice paid: by the intent, outside of Stripe, or because nothing was due."""
    before = copied(invoice)
    invoice |= {
        "amount_paid": 0 if outside else invoice["amount_due"],
        "amount_paid_off_stripe": invoice["amount_due"] if outside else 0,
        "amount_remaining": 0,
        "attempted": True,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status": "paid",
    }
    if intent is not None:
        invoice["attempt_count"] += 1
    invoice["status_transitions"]["paid_at"] = context.now
    invoices.save(context, invoice)
    events.emit(context, "invoice.updated", invoice, events.changes(before, invoice))
    events.emit(context, "invoice.paid", invoice)
    if not outside:
        events.emit(context, "invoice.payment_succeeded", invoice)
    if intent is not None:
        _payment_paid(context, invoice, intent)
    else:
        cancel_payments(context, invoice)
    _set_delinquent(context, invoice, delinquent=False)
    follow(context, invoice)


def _payment_paid(context: Context, invoice: Json, intent: Json) -> None:
    for payment in invoices.payments_of(context, invoice["id"]):
        if payment["payment"]["payment_intent"] == intent["id"]:
            payment |= {"amount_paid": invoice["amount_due"], "status": "paid"}
            payment["status_transitions"]["paid_at"] = context.now
            context.tx.save(payment)
            events.emit(context, "invoice_payment.paid", payment)


def cancel_payments(context: Context, invoice: Json) -> None:
    """Nothing more is collected: call open payments and their intents off."""
    for payment in invoices.payments_of(context, invoice["id"]):
        if payment["status"] == "open":
            payment["status"] = "canceled"
            payment["status_transitions"]["canceled_at"] = context.now
            context.tx.save(payment)
            intent = context.need("payment_intent", payment["payment"]["payment_intent"])
            payment_intents.cancel(context, intent, reason="void_invoice")


def _failed(context: Context, invoice: Json, intent: Json, *, by_hand: bool) -> None:
    """The attempt failed: plan the next one, tell, and let the subscription follow."""
    before = copied(invoice)
    is_first = invoice["billing_reason"] == "subscription_create"
    final = False
    invoice["attempted"] = True
    if not by_hand:
        days = context.setting("retry_days")
        invoice["attempt_count"] += 1
        final = is_first or invoice["attempt_count"] > len(days)
        pause = None if final else days[invoice["attempt_count"] - 1] * DAY_SECONDS
        invoice["next_payment_attempt"] = None if pause is None else context.now + pause
    invoices.save(context, invoice)
    events.emit(context, "invoice.payment_failed", invoice)
    if (intent["last_payment_error"] or {}).get("code") == "authentication_required":
        events.emit(context, "invoice.payment_action_required", invoice)
    events.emit(context, "invoice.updated", invoice, events.changes(before, invoice))
    _set_delinquent(context, invoice, delinquent=True)
    _on_failed(context, invoice, final=final and not is_first)


def _set_delinquent(context: Context, invoice: Json, *, delinquent: bool) -> None:
    customer = context.tx.get("customer", invoice["customer"])
    if customer is not None and invoice["amount_due"]:
        _update_customer(context, customer, delinquent=delinquent)


def follow(context: Context, invoice: Json) -> None:
    """A subscription that waited for its newest invoice goes on once that is paid or given up."""
    subscription = context.tx.get(subscription_docs.KIND, invoices.subscription_of(invoice) or "")
    if subscription is None or subscription["status"] not in ("incomplete", "past_due", "unpaid"):
        return
    finalized = [
        one
        for one in invoices.of_subscription(context, subscription["id"])
        if one["status"] not in ("draft", "void")
    ]
    if not finalized or finalized[-1]["status"] in ("paid", "uncollectible"):
        subscription_docs.change(context, subscription, status="active")


def _on_failed(context: Context, invoice: Json, *, final: bool) -> None:
    subscription = context.tx.get(subscription_docs.KIND, invoices.subscription_of(invoice) or "")
    if subscription is None or subscription["status"] not in ("active", "past_due", "trialing"):
        return
    outcome = context.setting("after_retries") if final else "past_due"
    if outcome == "canceled":
        end(context, subscription, reason="payment_failed")
    elif subscription["status"] != outcome:
        subscription_docs.change(context, subscription, status=outcome)


def end(context: Context, subscription: Json, *, reason: str, status: str = "canceled") -> None:
    """End the subscription now: nothing is billed any more, open invoices are not retried."""
    subscription |= {
        "canceled_at": subscription["canceled_at"] or context.now,
        "ended_at": context.now,
        "status": status,
    }
    if subscription["cancellation_details"]["reason"] is None:
        subscription["cancellation_details"]["reason"] = reason
    schedule = context.tx.get("subscription_schedule", subscription["schedule"] or "")
    private = {**subscription_docs.private_of(context, subscription), "pending": []}
    private["phase_at"] = None
    subscription_docs.save(context, subscription, private)
    for invoice in invoices.of_subscription(context, subscription["id"]):
        if invoice["auto_advance"] and invoice["status"] in ("draft", "open"):
            invoice |= {"auto_advance": False, "next_payment_attempt": None}
            invoice["automatically_finalizes_at"] = None
            invoices.save(context, invoice)
    if schedule is not None and schedule["status"] == "active":
        schedule |= {"canceled_at": context.now, "current_phase": None, "status": "canceled"}
        context.tx.save(schedule)
        events.emit(context, "subscription_schedule.canceled", schedule)
    if status == "canceled":
        events.emit(context, "customer.subscription.deleted", subscription)


def expire(context: Context, subscription: Json) -> None:
    """The first payment was not made in time: the subscription never began."""
    before = copied(subscription)
    end(context, subscription, reason="payment_failed", status="incomplete_expired")
    subscription_docs.tell_of(context, subscription, before)
    for invoice in invoices.of_subscription(context, subscription["id"]):
        if invoice["status"] == "open":
            void(context, invoice)


def void(context: Context, invoice: Json) -> None:
    """Take an open invoice back: what it took of the customer's balance returns.

    What it billed counts as never billed: a later change gives nothing back for it.
    """
    close(context, invoice, status="void", moment="voided_at", told="invoice.voided")
    cancel_payments(context, invoice)
    customer = context.tx.get("customer", invoice["customer"])
    if customer is not None:
        returned = customer["balance"] + invoice["starting_balance"] - invoice["ending_balance"]
        _update_customer(context, customer, balance=returned)
    subscription = context.tx.get(subscription_docs.KIND, invoices.subscription_of(invoice) or "")
    if subscription is not None:
        private = subscription_docs.private_of(context, subscription)
        kept = {id: one for id, one in private["billed"].items() if one["invoice"] != invoice["id"]}
        subscription_docs.save(context, subscription, {**private, "billed": kept})


def close(context: Context, invoice: Json, *, status: str, moment: str, told: str) -> None:
    """Nothing more is tried by itself: the invoice is ``void`` or ``uncollectible``."""
    before = copied(invoice)
    invoice |= {"auto_advance": False, "next_payment_attempt": None, "status": status}
    invoice["status_transitions"][moment] = context.now
    invoices.save(context, invoice)
    events.emit(context, "invoice.updated", invoice, events.changes(before, invoice))
    events.emit(context, told, invoice)


def need_open(context: Context, id: str, verb: str) -> Json:
    """The invoice if it is open. Raises StripeError otherwise."""
    invoice = context.need(KIND, id)
    if invoice["status"] == "paid":
        raise StripeError("Invoice is already paid")
    if invoice["status"] != "open":
        message = f"You can only {verb} open invoices. This invoice is {invoice['status']}."
        raise StripeError(message, code="invoice_not_editable")
    return invoice
