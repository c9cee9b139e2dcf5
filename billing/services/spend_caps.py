"""The monthly spend cap: set and lifted by its owner, kept by the ledger, told of once a month."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from uuid import UUID

from django.core.cache import cache
from django.utils.translation import gettext as _

from accounts.models import Customer, User
from billing import ledger, selectors
from billing.errors import SpendCapReached
from billing.models import EmailKind
from billing.money import CREDIT, Money
from billing.selectors import SpendCap
from billing.selectors.spend_caps import capped, used_up_caps
from billing.services import emails
from common import clock, doorbell
from common.errors import InvalidInput

logger = logging.getLogger(__name__)

TELL_TASK = "billing.tell_spend_cap"
# A thousand million credits: no month comes near it.
MAX_CAP = Money(10**15, CREDIT)
# A program that runs into its cap tries again many times a second.
RING_EVERY_SECONDS = 60
BATCH = 500


def set_cap(customer: Customer, cap: Money, *, by: User | None) -> SpendCap:
    """Let the customer spend no more than ``cap`` credits in each month of the customer's anchor.

    It takes the place of an earlier one, at once: what was spent or is held since the month began
    counts. It may lie below that; then nothing more is spent this month. Nothing at all (0) is a
    cap, too. ``by`` is None for a program. Raises InvalidInput.
    """
    if cap.asset != CREDIT or not Money(0, CREDIT) <= cap <= MAX_CAP:
        sentence = _("Choose an amount from %(least)s to %(most)s.") % {
            "least": Money(0, CREDIT),
            "most": MAX_CAP,
        }
        raise InvalidInput(sentence, fields={"amount_minor": [sentence]})
    return _put(customer, cap.amount_minor, by)


def lift(customer: Customer, *, by: User | None) -> SpendCap:
    """Let the customer spend without a cap from now on; doing it again changes nothing."""
    return _put(customer, None, by)


def was_refused(customer: Customer, refusal: SpendCapReached) -> None:
    """Have the owner told that the cap was in the way, if this month's e-mail is not yet written.

    Call it outside the transaction that failed.
    """
    if refusal.resets_at is None:
        return
    resets_at = refusal.resets_at.astimezone(UTC).isoformat()
    if cache.add(f"spend-cap-refused:{customer.pk}:{resets_at}", 1, timeout=RING_EVERY_SECONDS):
        doorbell.ring(TELL_TASK, str(customer.pk), resets_at)


def tell(customer_id: UUID, resets_at: datetime) -> bool:
    """Write the month's e-mail that the cap is reached, once a month; False if there is no need.

    ``resets_at`` names the month: one that is over is not told of any more, nor a cap that was
    lifted meanwhile.
    """
    wallet = capped().filter(owner_id=customer_id).first()
    if wallet is None or resets_at <= clock.now():
        return False
    return emails.queue(
        kind=EmailKind.SPEND_CAP_REACHED,
        customer=customer_id,
        key=f"spend_cap_reached:{wallet.pk}:{resets_at.astimezone(UTC).date()}",
        context={"cap_minor": wallet.cap_minor, "until": resets_at.isoformat()},
    )


def tell_used_up() -> int:
    """The same for every cap of which all is used, whether or not anything was refused since."""
    told, after = 0, 0
    while batch := used_up_caps(after, BATCH):
        told += sum(tell(owner_id, resets_at) for _pk, owner_id, resets_at in batch)
        after = batch[-1][0]
    return told


def _put(customer: Customer, cap_minor: int | None, by: User | None) -> SpendCap:
    ledger.set_spend_cap(
        ledger.wallet(customer, CREDIT),
        cap_minor,
        anchor_at=customer.anchor_at,
        zone=customer.time_zone,
        at=clock.now(),
    )
    logger.info(
        "spend cap set",
        extra={
            "customer": str(customer.pk),
            "cap_minor": cap_minor,
            "by": str(by.pk if by else ""),
        },
    )
    return selectors.spend_cap(customer)
