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

# what moved -> (type for cards, type for other methods, reporting category)
TYPES = {
    "charge": ("charge", "payment", "charge"),
    "refund": ("refund", "payment_refund", "refund"),
    "refund_failure": ("refund_failure", "payment_failure_refund", "refund_failure"),
}


def record(context: Context, source: Json, charge: Json, *, what: str, amount: int) -> Json:
    """Book ``amount`` (signed) for ``source``; only charges carry a fee."""
    by_card, otherwise, category = TYPES[what]
    fee = fee_of(context, amount) if what == "charge" else 0
    transaction: Json = {
        "id": ids.new("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": context.now,
        "balance_type": "payments",
        "created": context.now,
        "currency": charge["currency"],
        "description": charge["description"],
        "exchange_rate": None,
        "fee": fee,
        "fee_details": _fee_details(fee, charge["currency"]),
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


def _fee_details(fee: int, currency: str) -> list[Json]:
    if not fee:
        return []
    detail: Json = {
        "amount": fee,
        "application": None,
        "currency": currency,
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }
    return [detail]


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
    for kind in ("charge", "refund"):
        found = context.tx.get(kind, str(value))
        if found is not None:
            return found
    return value


EXPANDABLE["balance_transaction"] = {"source": _source}

ROUTES = [
    Route(
        "GET",
        "/v1/balance_transactions",
        lists.lister(
            "balance_transaction", "/v1/balance_transactions", "currency", "source", "type"
        ),
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
