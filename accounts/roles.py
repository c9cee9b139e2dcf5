"""Who may do what: the one table of roles and acts."""

from __future__ import annotations

from enum import Enum


class Act(Enum):
    """One thing that somebody may do for a customer. To look is free to every member."""

    PAY = "spend the customer's money: buy, subscribe, cancel, set limits"
    KEYS = "make and revoke API keys"
    DETAILS = "change what invoices say, and which e-mails are sent"
    TEAM = "invite, change roles, remove"
    EXPORT = "take all data away"
    CLOSE = "close the account"


# By Membership.Role; a role that is not here may only look.
ALLOWED: dict[str, frozenset[Act]] = {
    "owner": frozenset(Act),
    "billing": frozenset({Act.PAY, Act.KEYS, Act.DETAILS}),
    "member": frozenset(),
}


def may(role: str, act: Act) -> bool:
    """Whether that role allows it."""
    return act in ALLOWED.get(role, frozenset())
