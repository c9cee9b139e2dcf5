"""What the money core does. Each module is a noun, each function one act on it."""


def register_products() -> None:
    """Load the modules that register what they deliver."""
    from billing.services import credit_packs, plans  # noqa: F401
