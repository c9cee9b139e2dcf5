"""E-mails about credits, keys and people."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from django.db.models import F, Sum
from django.utils.translation import gettext as _

from accounts.models import ApiKey, Customer, Membership
from billing.models import Email, EmailKind, Lot
from billing.money import CREDIT, Money, asset
from billing.services import letters
from billing.services.letters import Button, Letter, NotNeeded, day, link, minute
from common import clock


@letters.of(EmailKind.CREDITS_EXPIRE_SOON)
def of_expiry(email: Email) -> Letter:
    at = datetime.fromisoformat(email.context["at"])
    left = expiring(email.customer, at)
    if not left or at <= clock.now():
        raise NotNeeded("The credits are spent.")
    return credits_expire_soon(email.customer, left, at)


@letters.of(EmailKind.SPEND_CAP_REACHED)
def of_cap(email: Email) -> Letter:
    until = email.context.get("until")
    return spend_cap_reached(
        email.customer,
        Money(int(email.context["cap_minor"]), CREDIT),
        datetime.fromisoformat(until) if until else None,
    )


@letters.of(EmailKind.API_KEY_CREATED)
def of_key(email: Email) -> Letter:
    api_key = ApiKey.objects.select_related("customer", "created_by").get(
        pk=email.context["api_key"]
    )
    return api_key_created(api_key)


@letters.of(EmailKind.STAFF_ADJUSTMENT)
def of_adjustment(email: Email) -> Letter:
    amount = Money(int(email.context["amount_minor"]), asset(email.context["asset"]))
    return staff_adjustment(email.customer, amount)


@letters.of(EmailKind.INVITATION)
def of_invitation(email: Email) -> Letter:
    told = email.context
    if not told.get("url"):
        raise NotNeeded("Its link was sent once and is not kept; invite again.")
    until = told.get("until")
    return invitation(
        email.customer,
        team=str(told["team"]),
        inviter=str(told.get("inviter", "")),
        role=str(told.get("role", "")),
        url=letters.address(str(told["url"])),
        until=datetime.fromisoformat(until) if until else None,
    )


def expiring(customer: Customer, at: datetime) -> Money:
    """Purchased credits that are left and expire on that day (in UTC)."""
    begins_at = datetime.combine(at.astimezone(UTC).date(), time(tzinfo=UTC))
    lots = Lot.objects.filter(
        account__owner=customer,
        account__role="wallet",
        account__asset=CREDIT.code,
        is_open=True,
        promotional=False,
        expires_at__gte=begins_at,
        expires_at__lt=begins_at + timedelta(days=1),
    )
    left = lots.aggregate(left=Sum(F("remaining_minor") - F("held_minor")))["left"]
    return Money(left or 0, CREDIT)


def credits_expire_soon(customer: Customer, left: Money, at: datetime) -> Letter:
    """Credits that were paid for are about to be lost."""
    said = {"credits": left, "day": day(at, customer)}
    return Letter(
        subject=_("%(credits)s expire on %(day)s") % said,
        title=_("Credits expire soon"),
        figure=str(left),
        body=[
            _(
                "%(credits)s that you bought expire on %(day)s. Credits that expire soonest are"
                " used first."
            )
            % said
        ],
        facts=letters.greeting_facts(customer),
        button=Button(_("See credits"), link("billing:dashboard")),
    )


def spend_cap_reached(customer: Customer, cap: Money, until: datetime | None) -> Letter:
    """The customer's own limit stops further spending."""
    body = [
        _(
            "Your spending this month has reached your cap of %(cap)s. Requests that cost credits"
            " are refused from now on."
        )
        % {"cap": cap}
    ]
    if until is not None:
        body.append(
            _(
                "They work again on %(day)s, when your next month begins, or as soon as you raise"
                " or remove the cap."
            )
            % {"day": day(until, customer)}
        )
    return Letter(
        subject=_("Your spend cap of %(cap)s is reached") % {"cap": cap},
        title=_("Spend cap reached"),
        figure=str(cap),
        body=body,
        facts=letters.greeting_facts(customer),
        button=Button(_("Change the cap"), link("billing:spending")),
    )


def api_key_created(api_key: ApiKey) -> Letter:
    """Somebody may now act for the customer by program."""
    creator = api_key.created_by
    facts = [
        *letters.greeting_facts(api_key.customer),
        (_("Key"), f"{letters.name(api_key.name)} ({api_key.prefix}…)"),
        (_("May do"), ", ".join(api_key.scopes)),
    ]
    if creator is not None:
        facts.append((_("Made by"), letters.name(creator.get_full_name())))
    if not api_key._state.adding:
        facts.append((_("Made on"), minute(api_key.created_at, api_key.customer)))
    return Letter(
        subject=_("New API key: %(name)s") % {"name": letters.name(api_key.name)},
        title=_("A new API key was made"),
        body=[
            _("Programs that hold this key can act for your account, within what it allows."),
            _("If nobody of yours made it, revoke it now and change your password."),
        ],
        facts=facts,
        button=Button(_("Review API keys"), link("accounts:api_keys")),
    )


def staff_adjustment(customer: Customer, amount: Money) -> Letter:
    """Our own people gave credits or took them away; ``amount`` is negative then."""
    size = Money(abs(amount.amount_minor), amount.asset)
    if amount.amount_minor > 0:
        subject = _("%(amount)s were added to your account")
        title = _("Credits added")
        sentence = _("Our team has added %(amount)s to your account.")
    else:
        subject = _("%(amount)s were taken from your account")
        title = _("Credits taken away")
        sentence = _("Our team has taken %(amount)s from your account.")
    said = {"amount": size}
    return Letter(
        subject=subject % said,
        title=title,
        figure=str(size),
        body=[
            sentence % said,
            _("Your statement shows it. If you do not know why, answer this e-mail."),
        ],
        facts=letters.greeting_facts(customer),
        button=Button(_("See the statement"), link("billing:statement")),
    )


def invitation(
    customer: Customer, *, team: str, inviter: str, role: str, url: str, until: datetime | None
) -> Letter:
    """Somebody may join a team. Whoever gets it may know neither, so no name becomes a link."""
    said = {"team": letters.foreign_name(team), "inviter": letters.foreign_name(inviter)}
    body = [
        _("%(inviter)s invites you to join %(team)s.") % said
        if inviter
        else _("You are invited to join %(team)s.") % said
    ]
    body.append(_("If you do not know who this is, ignore this e-mail; nothing happens then."))
    facts = [(_("Team"), said["team"])]
    if role:
        facts.append((_("Your role"), _role(role)))
    if until is not None:
        facts.append((_("Valid until"), minute(until, customer)))
    return Letter(
        subject=_("You are invited to join %(team)s") % said,
        title=_("Join %(team)s") % said,
        body=body,
        facts=facts,
        button=Button(_("See the invitation"), url),
    )


def _role(role: str) -> str:
    known = Membership.Role.values
    return str(Membership.Role(role).label) if role in known else letters.name(role)
