"""The API of billing, under /api/."""

from django.urls import path

from billing.api import (
    auto_top_up,
    entitlements,
    invoices,
    orders,
    paying,
    quota,
    revenue,
    spend_cap,
    subscriptions,
    wallet,
)

urlpatterns = [
    path("admin/revenue", revenue.AdminRevenue.as_view(), name="api-admin-revenue"),
    path("billing/config", wallet.Config.as_view(), name="api-config"),
    path("billing/credits", wallet.Credits.as_view(), name="api-credits"),
    path("billing/credits/history", wallet.History.as_view(), name="api-history"),
    path("billing/credits/purchase", orders.Purchases.as_view(), name="api-purchase"),
    path("billing/transactions", orders.Transactions.as_view(), name="api-transactions"),
    path("billing/invoices", invoices.Invoices.as_view(), name="api-invoices"),
    path(
        "billing/invoices/preview",
        invoices.InvoicePreview.as_view(),
        name="api-invoice-preview",
    ),
    path(
        "billing/invoices/<uuid:invoice_id>/pdf",
        invoices.InvoiceFile.as_view(),
        name="api-invoice-pdf",
    ),
    path("billing/orders/<uuid:order_id>", orders.OneOrder.as_view(), name="api-order"),
    path("billing/orders/<uuid:order_id>/pay", paying.PayOrder.as_view(), name="api-order-pay"),
    path(
        "billing/entitlements",
        entitlements.TheEntitlements.as_view(),
        name="api-entitlements",
    ),
    path("billing/spend-cap", spend_cap.TheSpendCap.as_view(), name="api-spend-cap"),
    path("billing/auto-top-up", auto_top_up.TheAutoTopUp.as_view(), name="api-auto-top-up"),
    path("billing/plans", subscriptions.Plans.as_view(), name="api-plans"),
    path("billing/subscription", subscriptions.TheSubscription.as_view(), name="api-subscription"),
    path("billing/portal", subscriptions.Portal.as_view(), name="api-portal"),
    path("billing/subscribe", subscriptions.Subscribe.as_view(), name="api-subscribe"),
    path("billing/upgrade", subscriptions.Upgrade.as_view(), name="api-upgrade"),
    path("billing/cancel", subscriptions.Cancel.as_view(), name="api-cancel"),
    path("billing/resume", subscriptions.Resume.as_view(), name="api-resume"),
    path("quota/holds", quota.Holds.as_view(), name="api-holds"),
    path("quota/holds/<uuid:hold_id>", quota.OneHold.as_view(), name="api-hold"),
    path("quota/holds/<uuid:hold_id>/capture", quota.Capture.as_view(), name="api-hold-capture"),
    path("quota/holds/<uuid:hold_id>/release", quota.Release.as_view(), name="api-hold-release"),
]
