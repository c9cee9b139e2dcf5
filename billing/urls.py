"""The pages of billing, under /billing/."""

from django.urls import path

from billing.views import (
    auto_top_up,
    buying,
    dashboard,
    invoices,
    orders,
    plan_change,
    plans,
    spending,
    statement,
    subscription,
    transactions,
    upgrades,
    wallet,
)

app_name = "billing"

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("buy", buying.buy, name="buy"),
    path("buy/quote", buying.quote, name="quote"),
    path("plans", plans.plans, name="plans"),
    path("subscription", subscription.subscription, name="subscription"),
    path("subscription/change", plan_change.change, name="change"),
    path("subscription/cancel", subscription.cancel, name="cancel"),
    path("subscription/resume", subscription.resume, name="resume"),
    path("subscription/portal", subscription.portal, name="portal"),
    path("spending", spending.spending, name="spending"),
    path("spending/off", spending.off, name="spending_off"),
    path("auto-top-up", auto_top_up.auto_top_up, name="auto_top_up"),
    path("auto-top-up/off", auto_top_up.off, name="auto_top_up_off"),
    path("auto-top-up/card", auto_top_up.card, name="auto_top_up_card"),
    path("auto-top-up/saved", auto_top_up.saved, name="auto_top_up_saved"),
    path("upgrade", upgrades.upgrade, name="upgrade"),
    path("invoices", invoices.invoices, name="invoices"),
    path("invoices.csv", invoices.invoices_table, name="invoices_csv"),
    path("invoices/<uuid:invoice_id>/pdf", invoices.invoice_file, name="invoice_pdf"),
    path("transactions", transactions.transactions, name="transactions"),
    path("statement", statement.statement, name="statement"),
    path("statement.csv", statement.download, name="statement_csv"),
    path("success", orders.newest, {"page": "billing:success"}, name="newest_success"),
    path("cancel", orders.newest, {"page": "billing:cancelled"}, name="newest_cancelled"),
    path("orders/<uuid:order_id>/success", orders.success, name="success"),
    path("orders/<uuid:order_id>/cancelled", orders.cancelled, name="cancelled"),
    path("orders/<uuid:order_id>/pay", orders.pay, name="pay"),
    path("orders/<uuid:order_id>/wallet", wallet.wallet_pay, name="wallet_pay"),
    path("payments/<uuid:payment_id>/receipt", orders.receipt, name="receipt"),
]
