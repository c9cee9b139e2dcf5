"""Signing up, and the customer every person gets."""

from collections.abc import Sequence

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction

from accounts import selectors
from accounts.models import Customer, Membership, User


@transaction.atomic
def open_personal_customer(user: User, *, language: str = settings.LANGUAGE_CODE) -> Customer:
    """The customer that is this person, opened once however often it is asked for.

    ``language`` is that of its documents until it chooses another.
    """
    User.objects.select_for_update().get(pk=user.pk)
    existing = selectors.personal_customer(user)
    if existing is not None:
        return existing
    customer = Customer.objects.create(
        kind=Customer.Kind.PERSON, name=user.name, email=user.email, language=language
    )
    Membership.objects.create(user=user, customer=customer, role=Membership.Role.OWNER)
    return customer


@transaction.atomic
def register_person(
    *, email: str, password: str | None, name: str = "", email_verified: bool = False
) -> User:
    """A user with a customer of their own, as the sign-up page makes them.

    Raises IntegrityError when the address is taken.
    """
    user = User.objects.create_user(email, password, name=name)
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=email_verified)
    open_personal_customer(user)
    return user


def follow_email(user: User, *, old_email: str) -> None:
    """Let the personal customer's billing address follow a changed log-in.

    Only where it still was the old log-in: an address that was set on purpose stays.
    """
    if user.email != old_email:
        Customer.objects.filter(
            kind=Customer.Kind.PERSON, memberships__user=user, email__iexact=old_email
        ).update(email=user.email)


@transaction.atomic
def change_profile(user: User, *, changed: Sequence[str], old_name: str) -> None:
    """Store the fields of the user named in ``changed``.

    The personal customer's name follows where it still was the old one.
    """
    if changed:
        user.save(update_fields=list(changed))
    if user.name != old_name:
        Customer.objects.filter(
            kind=Customer.Kind.PERSON, memberships__user=user, name=old_name
        ).update(name=user.name)


def change_details(customer: Customer, *, changed: Sequence[str]) -> None:
    """Store the customer's fields named in ``changed``; the rest of the row is left as it is."""
    if changed:
        customer.save(update_fields=list(changed))


def choose_language(user: User, code: str) -> None:
    """Show this user pages in that language; documents of a customer keep their own."""
    user.language = code
    user.save(update_fields=["language"])
