"""The one account there is."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import ACCOUNT_ID
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import missing
from sandbox.stripe.routes import Route

REQUIREMENTS: Json = {
    "alternatives": [],
    "current_deadline": None,
    "currently_due": [],
    "disabled_reason": None,
    "errors": [],
    "eventually_due": [],
    "past_due": [],
    "pending_verification": [],
}

ACCOUNT: Json = {
    "id": ACCOUNT_ID,
    "object": "account",
    "business_profile": {
        "annual_revenue": None,
        "estimated_worker_count": None,
        "mcc": None,
        "minority_owned_business_designation": None,
        "name": "Sandbox",
        "product_description": None,
        "support_address": None,
        "support_email": None,
        "support_phone": None,
        "support_url": None,
        "url": None,
    },
    "business_type": None,
    "capabilities": {"card_payments": "active", "us_bank_account_ach_payments": "active"},
    "charges_enabled": True,
    "controller": {"type": "account"},
    "country": "US",
    "created": 1_700_000_000,
    "default_currency": "usd",
    "details_submitted": True,
    "email": "sandbox@example.com",
    "external_accounts": {
        "object": "list",
        "data": [],
        "has_more": False,
        "url": f"/v1/accounts/{ACCOUNT_ID}/external_accounts",
    },
    "future_requirements": REQUIREMENTS,
    "metadata": {},
    "payouts_enabled": True,
    "requirements": REQUIREMENTS,
    "settings": {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {
            "icon": None,
            "logo": None,
            "primary_color": None,
            "secondary_color": None,
        },
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": "Sandbox", "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": None},
        "payments": {
            "statement_descriptor": "SANDBOX",
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": 2, "interval": "daily"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    },
    "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
    "type": "standard",
}


def own(context: Context, params: Json) -> Json:
    """The account that every key belongs to."""
    return copied(ACCOUNT)


def retrieve(context: Context, params: Json, id: str) -> Json:
    """The same, by its id; there is no other."""
    if id != ACCOUNT_ID:
        raise missing("account", id, param="account", status=404)
    return copied(ACCOUNT)


ROUTES = [
    Route("GET", "/v1/account", own),
    Route("GET", "/v1/accounts/:id", retrieve),
]
