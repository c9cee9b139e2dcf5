"""What the money core does. Each module is a noun, each function one act on it."""


def register_products() -> None:
    """Load the modules that register what they deliver."""
    from billing.services import credit_packs, plans  # noqa: F401


def register_letters() -> None:
    """Load the modules that write e-mails, and the notifier that asks for them."""
    from billing.services import (  # noqa: F401
        email_news,
        letters_accounts,
        letters_payments,
        letters_plans,
    )


def register_account_parts() -> None:
    """Tell the settings pages what billing holds, mails, and wants settled before an end."""
    from billing.services import account_parts

    account_parts.register()
