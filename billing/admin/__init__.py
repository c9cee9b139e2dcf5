"""The admin of the money core: it looks at everything and edits nothing.

Staff act only on pages that ask for a reason and show first, in amounts, what will happen.
"""

from billing.admin import (
    auto_top_ups,
    customers,
    disputes,
    emails,
    inbox,
    invoices,
    ledger,
    mirror,
    orders,
    payments,
    reconciliation,
    refunds,
    staff_log,
    subscriptions,
)

__all__ = [
    "auto_top_ups",
    "customers",
    "disputes",
    "emails",
    "inbox",
    "invoices",
    "ledger",
    "mirror",
    "orders",
    "payments",
    "reconciliation",
    "refunds",
    "staff_log",
    "subscriptions",
]
