"""What a new Checkout Session may not be: parameters of another mode, and pairs that clash."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, bad_param, not_modelled
from sandbox.stripe.params import require

MIN_LIFE_SECONDS = 30 * 60
MAX_LIFE_SECONDS = 24 * 3600

# The modes that know a parameter; the others refuse it.
MODES = {
    "allow_promotion_codes": ("payment", "subscription"),
    "automatic_tax": ("payment", "subscription"),
    "customer_creation": ("payment", "setup"),
    "discounts": ("payment", "subscription"),
    "line_items": ("payment", "subscription"),
    "payment_intent_data": ("payment",),
    "payment_method_collection": ("subscription",),
    "setup_intent_data": ("setup",),
    "submit_type": ("payment",),
    "subscription_data": ("subscription",),
}


def check(context: Context, params: Json) -> None:
    """Raises StripeError for the first thing that is wrong with a new session's parameters."""
    mode = params["mode"]
    for name, modes in MODES.items():
        if name in params and mode not in modes:
            raise bad_param(f"You can not pass `{name}` in `{mode}` mode.", name)
    require(params, ("success_url",))
    if mode == "setup":
        if "currency" not in params and "payment_method_types" not in params:
            message = "Missing required param: currency."
            raise bad_param(message, "currency", "parameter_missing")
    elif not params.get("line_items"):
        raise bad_param("Missing required param: line_items.", "line_items", "parameter_missing")
    if mode != "payment" and "us_bank_account" in params.get("payment_method_types", ()):
        raise not_modelled("payment_method_types")
    _check_pairs(params)
    _check_life(context, params.get("expires_at"))
    _check_customer(context, params)


def _check_pairs(params: Json) -> None:
    if "customer" in params and "customer_email" in params:
        message = "You may only specify one of these parameters: customer, customer_email."
        raise bad_param(message, "customer")
    if params.get("allow_promotion_codes") and params.get("discounts"):
        message = "You may only specify one of these parameters: allow_promotion_codes, discounts."
        raise bad_param(message, "allow_promotion_codes")


def _check_life(context: Context, expires_at: int | None) -> None:
    if expires_at is not None and not (
        MIN_LIFE_SECONDS - 60 <= expires_at - context.now <= MAX_LIFE_SECONDS
    ):
        message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from now."
        raise bad_param(message, "expires_at")


def _check_customer(context: Context, params: Json) -> None:
    updates = params.get("customer_update", {})
    if "customer" not in params:
        if updates:
            message = "`customer_update` can only be used with `customer`."
            raise bad_param(message, "customer_update")
        return
    if params.get("customer_creation"):
        message = "`customer_creation` cannot be used with `customer`."
        raise bad_param(message, "customer_creation")
    customer = context.need("customer", params["customer"], param="customer")
    taxed = params.get("automatic_tax", {}).get("enabled")
    if taxed and customer["address"] is None and updates.get("address") != "auto":
        raise StripeError(
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a "
            "valid address to the Customer or set `customer_update[address]` to 'auto' to save the "
            "address entered in Checkout to the Customer.",
            code="customer_tax_location_invalid",
        )
