"""What a Checkout Session looks like when it is new, in each mode."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import ids
from sandbox.stripe.context import Context
from sandbox.stripe.customers import full_address
from sandbox.stripe.params import merged
from sandbox.stripe.session_checks import MAX_LIFE_SECONDS

KIND = "checkout.session"


def build(context: Context, params: Json, *, currency: str | None) -> Json:
    """An open session without amounts yet, not stored."""
    id = ids.session()
    taxed = params.get("automatic_tax", {}).get("enabled", False)
    return {
        **_NOT_MODELLED,
        "id": id,
        "object": KIND,
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "amount_subtotal": None,
        "amount_total": None,
        "automatic_tax": _automatic_tax(taxed=taxed),
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "created": context.now,
        "currency": currency,
        "customer": params.get("customer"),
        "customer_creation": _creation(params),
        "customer_details": _first_details(context, params),
        "customer_email": params.get("customer_email"),
        "discounts": [],
        "expires_at": params.get("expires_at", context.now + MAX_LIFE_SECONDS),
        "livemode": False,
        "locale": params.get("locale"),
        "metadata": merged({}, params.get("metadata")),
        "origin_context": params.get("origin_context"),
        "payment_intent": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        **_of_mode(params),
        "status": "open",
        "submit_type": params.get("submit_type"),
        "success_url": params["success_url"],
        "total_details": None,
        "ui_mode": "hosted_page",
        "url": f"{context.config.public_url}/c/pay/{id}",
    }


def _of_mode(params: Json) -> Json:
    """What depends on the mode."""
    mode = params["mode"]
    methods = ["card", "us_bank_account"] if mode == "payment" else ["card"]
    collection = "if_required" if mode == "payment" else "always"
    return {
        "invoice_creation": _INVOICE_CREATION if mode == "payment" else None,
        "mode": mode,
        "payment_method_collection": params.get("payment_method_collection", collection),
        "payment_method_types": params.get("payment_method_types") or methods,
        "payment_status": "no_payment_required" if mode == "setup" else "unpaid",
        "saved_payment_method_options": _SAVED if mode == "subscription" else None,
    }


def _automatic_tax(*, taxed: bool) -> Json:
    return {
        "enabled": taxed,
        "liability": {"type": "self"} if taxed else None,
        "provider": "stripe" if taxed else None,
        "status": "requires_location_inputs" if taxed else None,
    }


_NOT_MODELLED: Json = {
    "adaptive_pricing": {"enabled": False},
    "after_expiration": None,
    "client_secret": None,
    "collected_information": None,
    "consent": None,
    "consent_collection": None,
    "currency_conversion": None,
    "custom_fields": [],
    "custom_text": {
        "after_submit": None,
        "shipping_address": None,
        "submit": None,
        "terms_of_service_acceptance": None,
    },
    "customer_account": None,
    "integration_identifier": None,
    "invoice": None,
    "managed_payments": {"enabled": False},
    "payment_link": None,
    "payment_method_configuration_details": None,
    "permissions": None,
    "phone_number_collection": {"enabled": False},
    "recovered_from": None,
    "setup_intent": None,
    "shipping_address_collection": None,
    "shipping_cost": None,
    "shipping_options": [],
    "subscription": None,
    "wallet_options": None,
}
_INVOICE_CREATION: Json = {
    "enabled": False,
    "invoice_data": {
        "account_tax_ids": None,
        "custom_fields": None,
        "description": None,
        "footer": None,
        "issuer": None,
        "metadata": {},
        "rendering_options": None,
    },
}
_SAVED: Json = {
    "allow_redisplay_filters": ["always"],
    "payment_method_remove": "disabled",
    "payment_method_save": None,
}


def _creation(params: Json) -> str | None:
    """Whether the session makes a customer; moot when there is one."""
    if "customer" in params:
        return None
    default = "always" if params["mode"] == "subscription" else "if_required"
    return str(params.get("customer_creation", default))


def _first_details(context: Context, params: Json) -> Json | None:
    customer = context.tx.get("customer", params.get("customer", ""))
    if customer is not None:
        return details(customer["email"], customer["name"], customer["address"])
    return details(params["customer_email"]) if "customer_email" in params else None


def details(email: str | None, name: str | None = None, address: Json | None = None) -> Json:
    """The session's ``customer_details``."""
    return {
        "address": full_address(address),
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
