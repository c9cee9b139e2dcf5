"""The registry of notifiers, which lies below accounts: see ``common.notifiers``."""

from common.notifiers import register, tell

__all__ = ["register", "tell"]
