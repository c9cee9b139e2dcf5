"""People, the parties they act for, and the keys they hand to programs."""

from accounts.models.api_keys import ApiKey
from accounts.models.customers import Customer, Membership
from accounts.models.teams import Invitation, TeamAct, TeamEvent
from accounts.models.users import User

__all__ = ["ApiKey", "Customer", "Invitation", "Membership", "TeamAct", "TeamEvent", "User"]
