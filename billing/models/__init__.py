"""The tables of the money core, by noun."""

from billing.models.auto_top_ups import (
    AutoTopUp,
    AutoTopUpCharge,
    AutoTopUpConsent,
    AutoTopUpState,
    AutoTopUpStop,
    ChargeState,
)
from billing.models.disputes import Dispute, DisputeState
from billing.models.emails import Email, EmailKind, EmailState
from billing.models.holds import Hold, HoldLot, HoldState, SpendCapPeriod
from billing.models.inbox import EventState, InboundEvent
from billing.models.invoices import Invoice, InvoiceKind, InvoiceSeries
from billing.models.ledger import AccountSnapshot, Code, Kind, LedgerAccount, Transfer
from billing.models.lots import Lot, LotUse
from billing.models.orders import Order, OrderStatus
from billing.models.payments import Payment, Refund, RefundState, UnappliedPayment
from billing.models.rails import RailCustomer
from billing.models.reconciliation import (
    ItemState,
    ReconciliationItem,
    ReconciliationRun,
    RunOutcome,
)
from billing.models.splits import Split
from billing.models.staff import StaffAction
from billing.models.subscriptions import (
    FAILING,
    PLAN,
    PeriodKind,
    Subscription,
    SubscriptionPeriod,
    SubscriptionStatus,
)

__all__ = [
    "FAILING",
    "PLAN",
    "AccountSnapshot",
    "AutoTopUp",
    "AutoTopUpCharge",
    "AutoTopUpConsent",
    "AutoTopUpState",
    "AutoTopUpStop",
    "ChargeState",
    "Code",
    "Dispute",
    "DisputeState",
    "Email",
    "EmailKind",
    "EmailState",
    "EventState",
    "Hold",
    "HoldLot",
    "HoldState",
    "InboundEvent",
    "Invoice",
    "InvoiceKind",
    "InvoiceSeries",
    "ItemState",
    "Kind",
    "LedgerAccount",
    "Lot",
    "LotUse",
    "Order",
    "OrderStatus",
    "Payment",
    "PeriodKind",
    "RailCustomer",
    "ReconciliationItem",
    "ReconciliationRun",
    "Refund",
    "RefundState",
    "RunOutcome",
    "SpendCapPeriod",
    "Split",
    "StaffAction",
    "Subscription",
    "SubscriptionPeriod",
    "SubscriptionStatus",
    "Transfer",
    "UnappliedPayment",
]
