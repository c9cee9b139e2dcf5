"""Refunds to the wallet: the debit that paid is unwound, so that units go back to their lots."""

from __future__ import annotations

from billing import ledger
from billing.models import Code, Refund, RefundState, Transfer
from billing.rails.wallet import paying
from billing.services.rails import RefundAnswer
from common import clock


def key(refund: Refund) -> str:
    """The ledger key of the units that went back."""
    return f"wallet:refund:{refund.pk}"


def send(refund: Refund) -> RefundAnswer:
    """Give the units back, once per refund: to their lots, or for 30 days where those expired."""
    ledger.unwind(
        paying.spend_key(refund.payment.external_id),
        refund.amount_minor,
        code=Code.ORDER_BACK,
        key=key(refund),
        group=f"refund:{refund.pk}",
        occurred_at=clock.now(),
    )
    return _succeeded(refund)


def find(refund: Refund) -> RefundAnswer | None:
    """Whether the units went back already."""
    went_back = Transfer.objects.filter(key=key(refund)).exists()
    return _succeeded(refund) if went_back else None


def _succeeded(refund: Refund) -> RefundAnswer:
    return RefundAnswer(key(refund), RefundState.SUCCEEDED)
