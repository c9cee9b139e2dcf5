"""What staff do to one subscription, each with a reason in the log."""

from __future__ import annotations

from billing.errors import ChangeNotPossible
from billing.models import StaffAction, Subscription, SubscriptionStatus
from billing.services import cancellations, renewing, staff, subscriptions
from billing.services.staff import Act, Note
from common import clock


def end_at_period_end(note: Note, subscription: Subscription) -> StaffAction:
    """Let it end with what is paid, and log it, once per key. Not inside a transaction.

    The provider is told first: a repeated submission tells it again, which changes nothing, and
    logs once. Raises ChangeNotPossible, RailUnavailable.
    """
    if staff.done(note.key) is None:
        require_live(subscription)
        subscription = cancellations.cancel_one(subscription)
    return _log(note, Act.END_SUBSCRIPTION_LATER, subscription, {"ends_at": _ends(subscription)})


def end_now(note: Note, subscription: Subscription) -> StaffAction:
    """End it at this moment and have its rail stop charging, once per key.

    Money stays: what is unused of it is the payment's to refund. Raises ChangeNotPossible.
    """

    def do() -> staff.Detail:
        locked = subscriptions.lock(subscription.pk)
        require_live(locked)
        subscriptions.end(locked, at=clock.now(), stop_rail=True)
        return {"was": subscription.status}

    return staff.once(
        note,
        Act.END_SUBSCRIPTION,
        subject=f"subscription:{subscription.pk}",
        customer=subscription.customer,
        asked=_asked(subscription),
        do=do,
    )


def refresh(note: Note, subscription: Subscription) -> StaffAction:
    """Settle what the provider has billed of it and take its state of today, and log it.

    Not inside a transaction. Raises ChangeNotPossible for prepaid time, RailUnavailable.
    """
    was = subscription.status
    if staff.done(note.key) is None:
        renewing.rail_of(subscription).refresh_subscription(subscription)
        subscription.refresh_from_db()
    return _log(
        note, Act.REFRESH_SUBSCRIPTION, subscription, {"was": was, "is": subscription.status}
    )


def require_live(subscription: Subscription) -> None:
    """Refuse what is over. Raises ChangeNotPossible."""
    if subscription.status == SubscriptionStatus.ENDED:
        raise ChangeNotPossible("This subscription has ended.")


def _log(note: Note, act: str, subscription: Subscription, detail: staff.Detail) -> StaffAction:
    return staff.once(
        note,
        act,
        subject=f"subscription:{subscription.pk}",
        customer=subscription.customer,
        asked=_asked(subscription),
        do=lambda: detail,
    )


def _asked(subscription: Subscription) -> staff.Detail:
    return {"external_id": subscription.external_id}


def _ends(subscription: Subscription) -> str:
    ends_at = subscription.access_ends_at
    return ends_at.isoformat() if ends_at else ""
