"""E-mails about subscriptions: what happens next, and what has gone wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from billing import catalogue
from billing.models import FAILING, Email, EmailKind, Subscription, SubscriptionStatus
from billing.money import Money
from billing.plans import Interval
from billing.selectors import plan_name
from billing.services import letters
from billing.services.letters import Button, Letter, NotNeeded, day, link
from common import clock
from common.errors import InvalidInput

Says = Callable[[Subscription], Letter]

# What each kind needs to be still so, when its turn comes.
_SAYS: dict[str, tuple[Callable[[Subscription], bool], Says]] = {}


def _still(holds: Callable[[Subscription], bool], kind: EmailKind) -> Callable[[Says], Says]:
    def register(says: Says) -> Says:
        _SAYS[kind] = (holds, says)
        letters.of(kind)(of_subscription)
        return says

    return register


def of_subscription(email: Email) -> Letter:
    """The letter of that kind, if what it tells is still so."""
    subscription = Subscription.objects.select_related("customer").get(
        pk=email.context["subscription"]
    )
    holds, says = _SAYS[email.kind]
    if not holds(subscription) or _has_moved(subscription, email):
        raise NotNeeded("The subscription has changed meanwhile.")
    return says(subscription)


def _has_moved(subscription: Subscription, email: Email) -> bool:
    """Whether a reminder's moment is not what it was, or past."""
    if "at" not in email.context:
        return False
    at = datetime.fromisoformat(email.context["at"])
    return at not in _moments(subscription) or at <= clock.now()


def _moments(subscription: Subscription) -> tuple[datetime | None, ...]:
    return subscription.period_ends_at, subscription.trial_ends_at


def will_renew(subscription: Subscription) -> bool:
    """Whether its card is charged when the period is over."""
    is_on = subscription.status == SubscriptionStatus.ACTIVE and subscription.renews
    return is_on and subscription.cancels_at is None


def will_begin_to_pay(subscription: Subscription) -> bool:
    """Whether its card is charged when the trial is over."""
    is_on = subscription.status == SubscriptionStatus.TRIALING and subscription.renews
    return is_on and subscription.cancels_at is None


def will_run_out(subscription: Subscription) -> bool:
    """Whether it is prepaid time that nothing renews."""
    return subscription.status == SubscriptionStatus.ACTIVE and not subscription.renews


@_still(lambda one: one.status in FAILING, EmailKind.PAYMENT_FAILED)
def payment_failed(subscription: Subscription) -> Letter:
    """A renewal could not be charged; until when that does no harm."""
    said = {"plan": plan_name(subscription.plan_slug), "price": subscription.price}
    body = [_("We could not charge the renewal of %(plan)s (%(price)s).") % said]
    if subscription.status == SubscriptionStatus.SUSPENDED:
        body.append(_("Your plan is suspended. It comes back as soon as the payment is made."))
    else:
        ends_at = grace_ends_at(subscription)
        body.append(
            _(
                "You keep %(plan)s for now. Please pay, or give us another card, before %(day)s;"
                " after that the plan is suspended until it is paid."
            )
            % {"plan": said["plan"], "day": day(ends_at, subscription.customer)}
        )
    return Letter(
        subject=_("Payment failed: please check how you pay for %(plan)s") % said,
        title=_("Your payment did not go through"),
        body=body,
        facts=_facts(subscription),
        button=Button(_("Fix the payment"), link("billing:subscription")),
        notes=[_("We also try the charge again by ourselves. If you have paid, all is well.")],
    )


@_still(lambda one: one.status == SubscriptionStatus.SUSPENDED, EmailKind.SUBSCRIPTION_SUSPENDED)
def suspended(subscription: Subscription) -> Letter:
    """The days of grace are over."""
    said = {"plan": plan_name(subscription.plan_slug), "price": subscription.price}
    return Letter(
        subject=_("%(plan)s is suspended until it is paid") % said,
        title=_("Your plan is suspended"),
        body=[
            _(
                "The renewal of %(plan)s (%(price)s) is still not paid, so its limits and features"
                " are switched off for now. Your data and your credits are kept."
            )
            % said,
            _("Pay, and the plan is back at once."),
        ],
        facts=_facts(subscription),
        button=Button(_("Fix the payment"), link("billing:subscription")),
    )


@_still(lambda one: one.status == SubscriptionStatus.ENDED, EmailKind.SUBSCRIPTION_ENDED)
def ended(subscription: Subscription) -> Letter:
    """It is over."""
    said = {
        "plan": plan_name(subscription.plan_slug),
        "day": day(subscription.ended_at or clock.now(), subscription.customer),
    }
    return Letter(
        subject=_("Your %(plan)s plan has ended") % said,
        title=_("Your plan has ended"),
        body=[
            _("%(plan)s ended on %(day)s. Nothing more will be charged for it.") % said,
            _("Credits that you bought are still yours. You can choose a plan again at any time."),
        ],
        facts=_facts(subscription),
        button=Button(_("See plans"), link("billing:plans")),
    )


@_still(will_renew, EmailKind.RENEWAL_SOON)
def renewal_soon(subscription: Subscription) -> Letter:
    """A card will be charged."""
    if subscription.next_plan_slug:
        return _changes_soon(subscription)
    said = {
        "plan": plan_name(subscription.plan_slug),
        "price": subscription.price,
        "day": day(subscription.period_ends_at, subscription.customer),
    }
    return Letter(
        subject=_("%(plan)s renews on %(day)s") % said,
        title=_("Your plan renews soon"),
        body=[
            _(
                "%(plan)s renews on %(day)s. We will then charge %(price)s, plus tax where it"
                " applies."
            )
            % said,
            _("You need do nothing. To change or cancel it, do so before."),
        ],
        facts=_facts(subscription),
        button=Button(_("Manage subscription"), link("billing:subscription")),
    )


def _changes_soon(subscription: Subscription) -> Letter:
    """It renews as another plan, as the customer has chosen."""
    said = {
        "before": plan_name(subscription.plan_slug),
        "after": plan_name(subscription.next_plan_slug),
        "day": day(subscription.period_ends_at, subscription.customer),
    }
    facts = [
        *letters.greeting_facts(subscription.customer),
        (_("Plan now"), said["before"]),
        (_("Plan then"), said["after"]),
    ]
    slug, interval = subscription.next_plan_slug, subscription.next_interval
    with suppress(InvalidInput):  # it is sold no more
        offer = catalogue.current().offer(slug, interval, subscription.unit)
        facts.append((_("Price then"), _a_time(offer.price, interval)))
    return Letter(
        subject=_("%(before)s becomes %(after)s on %(day)s") % said,
        title=_("Your plan changes soon"),
        body=[
            _(
                "As you chose, %(before)s becomes %(after)s on %(day)s. The new price is charged"
                " then, plus tax where it applies."
            )
            % said,
            _("You need do nothing. To change or cancel it, do so before."),
        ],
        facts=facts,
        button=Button(_("Manage subscription"), link("billing:subscription")),
    )


@_still(will_begin_to_pay, EmailKind.TRIAL_ENDING)
def trial_ending(subscription: Subscription) -> Letter:
    """A card will be charged for the first time."""
    said = {
        "plan": plan_name(subscription.plan_slug),
        "price": subscription.price,
        "day": day(
            subscription.trial_ends_at or subscription.period_ends_at, subscription.customer
        ),
    }
    return Letter(
        subject=_("Your free trial of %(plan)s ends on %(day)s") % said,
        title=_("Your free trial ends soon"),
        body=[
            _(
                "Your free trial of %(plan)s ends on %(day)s. We will then charge %(price)s, plus"
                " tax where it applies, and the plan goes on."
            )
            % said,
            _("If you cancel before, nothing is charged."),
        ],
        facts=_facts(subscription),
        button=Button(_("Manage subscription"), link("billing:subscription")),
    )


@_still(will_run_out, EmailKind.PLAN_EXPIRES_SOON)
def expires_soon(subscription: Subscription) -> Letter:
    """Prepaid time runs out."""
    said = {
        "plan": plan_name(subscription.plan_slug),
        "day": day(subscription.period_ends_at, subscription.customer),
    }
    return Letter(
        subject=_("%(plan)s ends on %(day)s") % said,
        title=_("Your plan ends soon"),
        body=[
            _("The time you paid for %(plan)s ends on %(day)s. It does not renew by itself.")
            % said,
            _("Add more time before then, and nothing is interrupted."),
        ],
        facts=_facts(subscription),
        button=Button(_("Add more time"), link("billing:plans")),
    )


def grace_ends_at(subscription: Subscription) -> datetime:
    """When a plan that is not paid is suspended."""
    since = subscription.past_due_since or clock.now()
    return since + timedelta(days=catalogue.current().dunning_grace_days)


def price(subscription: Subscription) -> str:
    """E.g. ``$29.99 a month``."""
    return _a_time(subscription.price, subscription.interval)


def _a_time(amount: Money, interval: str) -> str:
    forms = {
        Interval.MONTH: _("%(price)s a month"),
        Interval.YEAR: _("%(price)s a year"),
        Interval.DAYS_30: _("%(price)s for 30 days"),
    }
    return forms[Interval(interval)] % {"price": amount}


def _facts(subscription: Subscription) -> list[tuple[str, str]]:
    return [
        *letters.greeting_facts(subscription.customer),
        (_("Plan"), plan_name(subscription.plan_slug)),
        (_("Price"), price(subscription)),
    ]
