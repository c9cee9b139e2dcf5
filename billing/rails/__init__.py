"""Ways to pay. A rail opens pay pages, handles its provider's events and refunds; it knows no products."""


def register_rails() -> None:
    """Load the rails that are configured."""
