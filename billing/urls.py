"""The pages of billing, under /billing/."""

from django.urls import path

from billing.views import buying, dashboard, orders, statement, transactions, wallet

app_name = "billing"

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("buy", buying.buy, name="buy"),
    path("buy/quote", buying.quote, name="quote"),
    path("transactions", transactions.transactions, name="transactions"),
    path("statement", statement.statement, name="statement"),
    path("statement.csv", statement.download, name="statement_csv"),
    path("orders/<uuid:order_id>/success", orders.success, name="success"),
    path("orders/<uuid:order_id>/cancelled", orders.cancelled, name="cancelled"),
    path("orders/<uuid:order_id>/pay", orders.pay, name="pay"),
    path("orders/<uuid:order_id>/wallet", wallet.wallet_pay, name="wallet_pay"),
    path("payments/<uuid:payment_id>/receipt", orders.receipt, name="receipt"),
]
