"""Who acts for whom."""

import uuid

from django.contrib.auth.models import AnonymousUser
from django.db.models import Case, IntegerField, QuerySet, Value, When

from accounts.models import ApiKey, Customer, Membership, User


def current_membership(
    user: User | AnonymousUser, *, chosen_id: uuid.UUID | None = None
) -> Membership | None:
    """For whom the user acts now: the chosen customer if a member of it, else the personal one.

    One query, the customer loaded. None for staff without a customer and for the signed out.
    """
    return _ranked(user, chosen_id).first() if isinstance(user, User) else None


def acting_memberships(
    user: User | AnonymousUser, *, chosen_id: uuid.UUID | None = None
) -> list[Membership]:
    """All for whom the user may act, the current one (see above) first. One query."""
    return list(_ranked(user, chosen_id)) if isinstance(user, User) else []


def current_customer(
    user: User | AnonymousUser, *, chosen_id: uuid.UUID | None = None
) -> Customer | None:
    """The customer for whom the user acts now, as ``current_membership`` finds it."""
    membership = current_membership(user, chosen_id=chosen_id)
    return membership.customer if membership else None


def memberships(user: User) -> QuerySet[Membership]:
    """Everything the user may act for, the personal customer first, customers loaded."""
    return (
        Membership.objects.filter(user=user, customer__closed_at=None)
        .select_related("customer")
        .order_by("customer__kind", "customer__name", "customer_id")
    )


def personal_customer(user: User) -> Customer | None:
    """The customer that is this very person."""
    return (
        Customer.objects.filter(
            kind=Customer.Kind.PERSON,
            memberships__user=user,
            memberships__role=Membership.Role.OWNER,
        )
        .order_by("id")
        .first()
    )


def api_keys(customer: Customer) -> QuerySet[ApiKey]:
    """The customer's keys, newest first, revoked ones included, their makers loaded."""
    return ApiKey.objects.filter(customer=customer).select_related("created_by").order_by("-id")


def _ranked(user: User, chosen_id: uuid.UUID | None) -> QuerySet[Membership]:
    return (
        Membership.objects.filter(user=user, customer__closed_at=None)
        .select_related("customer")
        .annotate(rank=_rank(chosen_id))
        .order_by("rank", "customer_id")
    )


def _rank(chosen_id: uuid.UUID | None) -> Case:
    person = When(customer__kind=Customer.Kind.PERSON, role=Membership.Role.OWNER, then=Value(1))
    whens = [person] if chosen_id is None else [When(customer_id=chosen_id, then=Value(0)), person]
    return Case(*whens, default=Value(2), output_field=IntegerField())
