"""Auto top-up at a running portal: switching it on, saving cards, counting what was charged."""

from __future__ import annotations

from typing import Any

import stripe

from accounts.models import Customer, Membership
from billing import ledger
from billing.models import AutoTopUp, AutoTopUpCharge, ChargeState, Code
from billing.money import CREDIT
from billing.rails.card import customers
from billing.services import auto_top_ups
from billing.services.auto_top_ups import Terms
from common import clock
from tests.accounts.factories import make_person
from tests.billing.charging import TERMS, UNIT
from tests.end_to_end.till import Till

DECLINES_LATER = "4000000000000341"
GOOD = "4242424242424242"


def owner() -> Membership:
    """A new person with their own customer."""
    return Membership.objects.select_related("customer", "user").get(
        user=make_person(), customer__kind=Customer.Kind.PERSON
    )


def give(customer: Customer, whole: int) -> None:
    """Promotional credits, so that only charges bring money."""
    ledger.grant(
        ledger.wallet(customer, CREDIT),
        whole * UNIT,
        code=Code.PROMOTION,
        key=f"test:gift:{customer.pk}",
        group=f"test:gift:{customer.pk}",
        occurred_at=clock.now(),
        origin="test",
        promotional=True,
    )


def save_card(till: Till, row: AutoTopUp, number: str = GOOD) -> None:
    """Save a card on the sandbox's page, as its owner would, and come back."""
    url = auto_top_ups.saving_url(
        row, done_url=f"{till.portal.url}/done", back_url=f"{till.portal.url}/back"
    )
    page_id = url.rsplit("/", 1)[1]
    assert till.pay(page_id, card=number) == "saved"
    auto_top_ups.finish_saving(row.customer, page_id)


def switched_on(
    till: Till, *, left: int = 1_000, terms: Terms = TERMS, card: str = GOOD
) -> AutoTopUp:
    """Auto top-up that is on, its card saved on the provider's page."""
    member = owner()
    give(member.customer, left)
    row = auto_top_ups.switch_on(member, terms, words="I agree to what a test says.")
    save_card(till, row, card)
    row.refresh_from_db()
    assert row.is_on
    return row


def swap_bank(till: Till, row: AutoTopUp, number: str) -> None:
    """From now on the saved card fares like the test card of that number."""
    found: Any = stripe.Customer.retrieve(customers.ensure(row.customer)).to_dict()
    method = found["invoice_settings"]["default_payment_method"]
    till.control(f"payment_methods/{method}/bank", card=number)


def charged_at_stripe(row: AutoTopUp) -> list[int]:
    """The amounts of the payments that succeeded at Stripe, whoever asked for them."""
    page = stripe.PaymentIntent.list(customer=customers.ensure(row.customer), limit=100)
    return [one.amount_received for one in page.auto_paging_iter() if one.status == "succeeded"]


def asked_at_stripe(row: AutoTopUp) -> int:
    """How many payments were asked for at Stripe, paid or not."""
    page = stripe.PaymentIntent.list(customer=customers.ensure(row.customer), limit=100)
    return len(list(page.auto_paging_iter()))


def states(row: AutoTopUp) -> list[str]:
    """How our charges stand, oldest first."""
    found = AutoTopUpCharge.objects.filter(auto_top_up=row).order_by("requested_at")
    return list(found.values_list("state", flat=True))


def is_settled(row: AutoTopUp) -> bool:
    """Whether something was charged and nothing is under way."""
    found = states(row)
    return bool(found) and ChargeState.PENDING not in found
