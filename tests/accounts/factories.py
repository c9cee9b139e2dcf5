"""People for tests, made by the services that make them in life."""

from itertools import count

from django.test import Client
from rest_framework.test import APIClient

from accounts import services
from accounts.middleware import SESSION_KEY
from accounts.models import Customer, Membership, User
from common.ids import uuid7

PASSWORD = "correct horse battery"
_numbers = count(1)


def make_person(email: str = "", *, verified: bool = True, name: str = "") -> User:
    """A user with a personal customer."""
    address = email or f"person{next(_numbers)}-{uuid7().hex[-8:]}@example.com"
    return services.register_person(
        email=address, password=PASSWORD, name=name, email_verified=verified
    )


def customer_of(user: User) -> Customer:
    """The person's own customer."""
    return Customer.objects.get(memberships__user=user, kind=Customer.Kind.PERSON)


def make_team(owner: User, name: str = "A team") -> Customer:
    """A team with one owner."""
    team = Customer.objects.create(kind=Customer.Kind.TEAM, name=name, email=owner.email)
    Membership.objects.create(user=owner, customer=team, role=Membership.Role.OWNER)
    return team


def join(team: Customer, role: Membership.Role) -> User:
    """A new person in that role of the team."""
    user = make_person()
    Membership.objects.create(user=user, customer=team, role=role)
    return user


def make_staff() -> User:
    """A superuser, who has no customer."""
    return User.objects.create_superuser(f"staff-{uuid7().hex[-8:]}@example.com", PASSWORD)


class PersonClient(APIClient):
    """A browser in which a person is signed in."""

    user: User
    customer: Customer


def signed_in(user: User | None = None) -> PersonClient:
    """The browser of ``user``, or of a new person. Errors come as answers, not as exceptions."""
    client = PersonClient(raise_request_exception=False)
    client.user = user or make_person()
    client.customer = customer_of(client.user)
    client.force_login(client.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def acting_for(team: Customer, user: User) -> PersonClient:
    """The browser of a member who has switched to the team."""
    client = signed_in(user)
    session = client.session
    session[SESSION_KEY] = str(team.pk)
    session.save()
    return client


def confirm(client: Client) -> None:
    """Enter the password once more, as guarded pages ask for."""
    answer = client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert answer.status_code == 302
