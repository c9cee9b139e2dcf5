"""Invoice payments: which payment collects which invoice."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import lists
from sandbox.stripe.context import Context
from sandbox.stripe.errors import bad_param
from sandbox.stripe.params import PAGING, group, not_here, text
from sandbox.stripe.routes import Route

KIND = "invoice_payment"
URL = "/v1/invoice_payments"


def listing(context: Context, params: Json) -> Json:
    """Invoice payments, newest first, of an invoice or of a PaymentIntent."""
    filters = lists.Filter()
    for name in ("invoice", "status"):
        filters.field(name, params.get(name))
    payment = params.get("payment", {})
    if payment.get("type") == "payment_intent":
        if "payment_intent" not in payment:
            name = "payment[payment_intent]"
            raise bad_param(f"Missing required param: {name}.", name, "parameter_missing")
        filters.field("payment.payment_intent", payment["payment_intent"])
    return lists.page(context, KIND, params, URL, filters=filters)


PAYMENT = group(
    {
        **not_here("payment_record"),
        "payment_intent": text(),
        "type": text(one_of=("payment_intent",)),
    },
    required=("type",),
)

ROUTES = [
    Route(
        "GET",
        URL,
        listing,
        {
            **PAGING,
            "invoice": text(),
            "payment": PAYMENT,
            "status": text(one_of=("canceled", "open", "paid")),
        },
    ),
    Route("GET", f"{URL}/:id", lists.retriever(KIND)),
]
