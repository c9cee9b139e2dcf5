"""The demo month: a few customers live a month through the real services."""
