"""What ``POST /v1/checkout/sessions`` may carry, whatever the mode; ``session_checks`` sorts."""

from __future__ import annotations

from sandbox.stripe.params import (
    EXPAND,
    Fields,
    array,
    boolean,
    currency,
    email,
    group,
    integer,
    metadata,
    not_here,
    text,
    url,
)
from sandbox.stripe.prices import MAX_UNIT_AMOUNT, TAX_BEHAVIORS

PRODUCT_DATA: Fields = {
    "description": text(40_000),
    "images": array(url, maximum=8),
    "metadata": metadata,
    "name": text(),
    "tax_code": text(),
    "unit_label": text(12),
}
PRICE_DATA: Fields = {
    **not_here("unit_amount_decimal"),
    "currency": currency,
    "product": text(),
    "product_data": group(PRODUCT_DATA, required=("name",)),
    "recurring": group(
        {
            "interval": text(one_of=("day", "week", "month", "year")),
            "interval_count": integer(1, 36),
        },
        required=("interval",),
    ),
    "tax_behavior": text(one_of=TAX_BEHAVIORS),
    "unit_amount": integer(0, MAX_UNIT_AMOUNT),
}
LINE_ITEM: Fields = {
    **not_here("tax_rates dynamic_tax_rates"),
    "adjustable_quantity": group(
        {"enabled": boolean, "maximum": integer(1, 999_999), "minimum": integer(0, 999_999)},
        required=("enabled",),
    ),
    "metadata": metadata,
    "price": text(),
    "price_data": group(PRICE_DATA),
    "quantity": integer(1, 999_999),
}
PAYMENT_INTENT_DATA: Fields = {
    **not_here("application_fee_amount on_behalf_of shipping transfer_data"),
    "capture_method": text(one_of=("automatic", "automatic_async")),
    "description": text(1000),
    "metadata": metadata,
    "receipt_email": email,
    "setup_future_usage": text(one_of=("off_session", "on_session")),
    "statement_descriptor": text(22),
    "statement_descriptor_suffix": text(22),
    "transfer_group": text(),
}
SUBSCRIPTION_DATA: Fields = {
    **not_here("application_fee_percent billing_cycle_anchor billing_cycle_anchor_config"),
    **not_here("billing_mode default_tax_rates invoice_settings on_behalf_of"),
    **not_here("pending_invoice_item_interval proration_behavior transfer_data trial_end"),
    **not_here("trial_settings"),
    "description": text(500),
    "metadata": metadata,
    "trial_period_days": integer(1, 730),
}
SETUP_INTENT_DATA: Fields = {
    **not_here("on_behalf_of"),
    "description": text(1000),
    "metadata": metadata,
}
CREATE: Fields = {
    **EXPAND,
    **not_here(
        "after_expiration branding_settings consent_collection custom_fields custom_text "
        "customer_account excluded_payment_method_types integration_identifier invoice_creation "
        "managed_payments name_collection optional_items "
        "payment_method_configuration payment_method_data payment_method_options permissions "
        "phone_number_collection redirect_on_completion return_url saved_payment_method_options "
        "shipping_address_collection shipping_options "
        "tax_id_collection wallet_options adaptive_pricing"
    ),
    "allow_promotion_codes": boolean,
    "automatic_tax": group({"enabled": boolean, **not_here("liability")}, required=("enabled",)),
    "billing_address_collection": text(one_of=("auto", "required")),
    "cancel_url": url,
    "client_reference_id": text(200),
    "currency": currency,
    "customer": text(),
    "customer_creation": text(one_of=("always", "if_required")),
    "customer_email": email,
    "customer_update": group(
        {name: text(one_of=("auto", "never")) for name in ("address", "name", "shipping")}
    ),
    "discounts": array(group({"coupon": text(), "promotion_code": text()}), maximum=1),
    "expires_at": integer(1),
    "line_items": array(group(LINE_ITEM), maximum=100),
    "locale": text(10),
    "metadata": metadata,
    "mode": text(one_of=("payment", "setup", "subscription")),
    "origin_context": text(one_of=("mobile_app", "web")),
    "payment_intent_data": group(PAYMENT_INTENT_DATA),
    "payment_method_collection": text(one_of=("always", "if_required")),
    "payment_method_types": array(text(one_of=("card", "us_bank_account")), maximum=2),
    "setup_intent_data": group(SETUP_INTENT_DATA),
    "submit_type": text(one_of=("auto", "book", "donate", "pay")),
    "subscription_data": group(SUBSCRIPTION_DATA),
    "success_url": url,
    "ui_mode": text(one_of=("hosted_page",)),
}
UPDATE: Fields = {
    **EXPAND,
    **not_here("automatic_tax collected_information discounts invoice_creation line_items"),
    **not_here("shipping_options subscription_data"),
    "metadata": metadata,
}
