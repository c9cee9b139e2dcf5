"""Payment methods: what a payment was made with. Saving them for later is not modelled yet."""

from __future__ import annotations

import hashlib

from sandbox.store import Json
from sandbox.stripe import ids, lists
from sandbox.stripe.cards import Card
from sandbox.stripe.context import Context
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import ADDRESS, PAGING, not_here, text
from sandbox.stripe.routes import Route

TEST_ROUTING_NUMBER = "110000000"


def billing_details(email: str | None, name: str | None) -> Json:
    """Who paid, as typed on the checkout page."""
    return {
        "address": dict.fromkeys(ADDRESS),
        "email": email,
        "name": name,
        "phone": None,
        "tax_id": None,
    }


def _build(context: Context, type: str, email: str | None, name: str | None) -> Json:
    return {
        "id": ids.new("pm"),
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": billing_details(email, name),
        "created": context.now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": type,
    }


def create_card(
    context: Context, card: Card, *, expiry: tuple[int, int], email: str | None, name: str | None
) -> Json:
    """A card payment method; ``expiry`` is (month, year)."""
    method = _build(context, "card", email, name)
    method["card"] = {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "fail" if card.decline and card.decline[0] == "incorrect_cvc" else "pass",
        },
        "country": "US",
        "display_brand": card.brand,
        "exp_month": expiry[0],
        "exp_year": expiry[1],
        "fingerprint": hashlib.sha256(card.number.encode()).hexdigest()[:16],
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
    context.tx.insert(method)
    return method


def create_bank_debit(context: Context, *, email: str | None, name: str | None) -> Json:
    """A bank account at the sandbox's only bank."""
    method = _build(context, "us_bank_account", email, name)
    method["us_bank_account"] = {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": "SandboxBank00001",
        "last4": "6789",
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": TEST_ROUTING_NUMBER,
        "status_details": {},
    }
    context.tx.insert(method)
    return method


EXPANDABLE["payment_method"] = {"customer": ref("customer")}

ROUTES = [
    Route(
        "GET",
        "/v1/payment_methods",
        lists.lister("payment_method", "/v1/payment_methods", "customer", "type"),
        {
            **PAGING,
            **not_here("customer_account allow_redisplay"),
            "customer": text(),
            "type": text(),
        },
    ),
    Route("GET", "/v1/payment_methods/:id", lists.retriever("payment_method")),
]
