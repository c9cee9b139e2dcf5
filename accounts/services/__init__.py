"""What can happen to users, customers and keys."""

from accounts.services.people import (
    change_details,
    change_profile,
    choose_language,
    follow_email,
    open_personal_customer,
    register_person,
)

__all__ = [
    "change_details",
    "change_profile",
    "choose_language",
    "follow_email",
    "open_personal_customer",
    "register_person",
]
