"""The account's balance: one transaction per movement, fees beside it."""

from __future__ import annotations

from fractions import Fraction

from sandbox.store import Json
from sandbox.stripe import ids, lists
from sandbox.stripe.amounts import rounded
from sandbox.stripe.context import Context
from sandbox.stripe.expand import EXPANDABLE
from sandbox.stripe.params import EXPAND, PAGING, currency, not_here, text
from sandbox.stripe.routes import Route

URL = "/v1/balance_transactions"

# what moved -> (type for cards, type for other methods, reporting category)
TYPES = {
    "charge": ("charge", "payment", "charge"),
    "refund": ("refund", "payment_refund", "refund"),
    "refund_failure": ("refund_failure", "payment_failure_refund", "refund_failure"),
    "dispute": ("adjustment", "adjustment", "dispute"),
    "dispute_reversal": ("adjustment", "adjustment", "dispute_reversal"),
}
DESCRIPTIONS = {
    "dispute": "Chargeback withdrawal for",
    "dispute_reversal": "Chargeback reversal for",
}


def record(context: Context, source: Json, charge: Json, *, what: str, amount: int) -> Json:
    """Book ``amount`` (signed) for ``source``; only charges and chargebacks carry a fee."""
    by_card, otherwise, category = TYPES[what]
    fee, fee_details = _fee(context, charge, what=what, amount=amount)
    description = charge["description"]
    if what in DESCRIPTIONS:
        description = f"{DESCRIPTIONS[what]} {charge['id']}"
    transaction: Json = {
        "id": ids.new("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": context.now,
        "balance_type": "payments",
        "created": context.now,
        "currency": charge["currency"],
        "description": description,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": fee_details,
        "net": amount - fee,
        "reporting_category": category,
        "source": source["id"],
        "status": "available",
        "type": by_card if charge["payment_method_details"]["type"] == "card" else otherwise,
    }
    context.tx.insert(transaction)
    return transaction


def fee_of(context: Context, amount: int) -> int:
    """The provider's fee on a charge, never more than the charge."""
    fee = rounded(Fraction(amount * int(context.setting("fee_bps")), 10_000))
    return min(amount, fee + int(context.setting("fee_fixed_minor")))


def _fee(context: Context, charge: Json, *, what: str, amount: int) -> tuple[int, list[Json]]:
    """What Stripe takes for this movement, in all and in detail."""
    fee, description = 0, ""
    if what == "charge":
        fee, description = fee_of(context, amount), "Stripe processing fees"
    elif what == "dispute":
        fee, description = int(context.setting("dispute_fee_minor")), "Dispute fee"
    if not fee:
        return 0, []
    detail: Json = {
        "amount": fee,
        "application": None,
        "currency": charge["currency"],
        "description": description,
        "type": "stripe_fee",
    }
    return fee, [detail]


def balance(context: Context, params: Json) -> Json:
    """What is in the account, per currency; everything is available at once."""
    rows = context.tx.rows(
        "SELECT json_extract(data, '$.currency'), sum(json_extract(data, '$.net')) "
        "FROM objects WHERE kind = 'balance_transaction' GROUP BY 1 ORDER BY 1"
    )
    net = {row[0]: row[1] for row in rows} or {"usd": 0}

    def funds(amounts: dict[str, int]) -> list[Json]:
        return [
            {"amount": amount, "currency": name, "source_types": {"card": amount}}
            for name, amount in amounts.items()
        ]

    return {
        "object": "balance",
        "available": funds(net),
        "livemode": False,
        "pending": funds(dict.fromkeys(net, 0)),
    }


def _source(context: Context, transaction: Json, value: object) -> object:
    for kind in ("charge", "refund", "dispute"):
        found = context.tx.get(kind, str(value))
        if found is not None:
            return found
    return value


def listing(context: Context, params: Json) -> Json:
    """Transactions, newest first. Like Stripe's, the list does not find disputes by ``source``."""
    filters = lists.Filter()
    for name in ("currency", "source", "type"):
        filters.field(name, params.get(name))
    filters.where(
        "json_extract(data, '$.source') NOT GLOB 'du_*' OR ? IS NULL", params.get("source")
    )
    return lists.page(context, "balance_transaction", params, URL, filters=filters)


EXPANDABLE["balance_transaction"] = {"source": _source}

ROUTES = [
    Route(
        "GET",
        URL,
        listing,
        {
            **PAGING,
            **not_here("payout"),
            "currency": currency,
            "source": text(),
            "type": text(),
        },
    ),
    Route("GET", "/v1/balance_transactions/:id", lists.retriever("balance_transaction")),
    Route("GET", "/v1/balance", balance, EXPAND),
]
