"""Reading: each function is named for what it returns, and writes nothing."""

from billing.selectors.balances import (
    Balance,
    LotRow,
    balance,
    credit_balance,
    lots,
    other_balances,
    wallet,
)
from billing.selectors.orders import (
    Purchase,
    Receipt,
    State,
    Unapplied,
    open_orders,
    purchase,
    purchases,
    receipt,
    unapplied,
)
from billing.selectors.quota import HoldRow, hold, hold_row
from billing.selectors.spending import Day, Month, this_month
from billing.selectors.statements import (
    Filters,
    Kind,
    StatementPage,
    StatementRow,
    all_rows,
    statement,
)

__all__ = [
    "Balance",
    "Day",
    "Filters",
    "HoldRow",
    "Kind",
    "LotRow",
    "Month",
    "Purchase",
    "Receipt",
    "State",
    "StatementPage",
    "StatementRow",
    "Unapplied",
    "all_rows",
    "balance",
    "credit_balance",
    "hold",
    "hold_row",
    "lots",
    "open_orders",
    "other_balances",
    "purchase",
    "purchases",
    "receipt",
    "statement",
    "this_month",
    "unapplied",
    "wallet",
]
