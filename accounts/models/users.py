"""The person who signs in."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import F
from django.db.models.functions import Lower

from common import clock, ids


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address; addresses are kept in lower case."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A user who can sign in; without a password only after a reset."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A user who may do everything in the admin; has no customer of its own."""
        return self.create_user(
            email, password, **fields | {"is_staff": True, "is_superuser": True}
        )

    def get_by_natural_key(self, username: str | None) -> "User":
        """The user of that address, in whatever case it was typed."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in with an e-mail address; money belongs to a Customer."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    # Lower case, so that unique means unique however the address is typed.
    email = models.EmailField("e-mail address", max_length=254, unique=True)
    name = models.CharField(max_length=150, blank=True)
    # The language of the pages; empty: what the browser asks for.
    language = models.CharField(max_length=8, blank=True, choices=settings.LANGUAGES)
    is_active = models.BooleanField("may sign in", default=True)
    is_staff = models.BooleanField("may use the admin", default=False)
    date_joined = models.DateTimeField(default=clock.now, editable=False)
    # By the person's own wish; after a while name and address are taken out.
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email=Lower(F("email"))), name="user_email_lower_case"
            ),
            models.CheckConstraint(condition=~models.Q(email=""), name="user_has_email"),
        ]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        """Bring the address into the one form it is stored in."""
        self.email = self.email.strip().lower()

    def get_full_name(self) -> str:
        """The name if given, else the address."""
        return self.name or self.email

    def get_short_name(self) -> str:
        """The part a header has room for."""
        return self.name or self.email.partition("@")[0]
