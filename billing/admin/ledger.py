"""The ledger, to look at: accounts, transfers, lots, uses of lots, holds."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import BigIntegerField, Case, DateTimeField, F, Func, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from billing import selectors
from billing.admin.base import (
    LongTableAdmin,
    ReadOnlyInline,
    account_link,
    link,
    list_of,
    money,
    staff_act,
)
from billing.admin.filters import (
    AccountAssetFilter,
    AccountFilter,
    AssetFilter,
    CodeFilter,
    SourceAssetFilter,
)
from billing.models import Hold, HoldLot, Kind, LedgerAccount, Lot, LotUse, Transfer
from billing.money import Money, asset
from common.pagination import CursorInvalid

STATEMENT_ROWS = 50
UNIT, LOT_UNIT, SOURCE_UNIT = "account.asset", "lot.account.asset", "source.asset"


@admin.register(LedgerAccount)
class LedgerAccountAdmin(LongTableAdmin):
    """Every place value can be. System accounts have no counter: theirs is a sum."""

    list_display = [
        "id", "role", link("owner", "Owner"), "asset", "kind", money("shown_minor", "Balance"),
        money("held_minor", "Held"),
    ]  # fmt: skip
    list_select_related = ["owner"]
    list_filter = ["kind", AssetFilter]
    search_fields = ["id", "role", "owner__id", "owner__email"]
    search_help_text = "Account id, role (like clearing:card), customer id or e-mail address."
    fieldsets = [
        (None, {"fields": ["id", "role", "owner", "asset", "kind", "created_at"]}),
        ("Balance", {"fields": [money("shown_minor", "Balance"), money("held_minor", "Held")]}),
        ("Spend cap", {"fields": [money("cap_minor", "Cap"), "cap_anchor_at", "cap_time_zone"]}),
    ]
    actions_detail = ["statement", "transfers"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerAccount]:
        found: QuerySet[LedgerAccount] = super().get_queryset(request)
        total = Func(
            F("pk"),
            Value(None, output_field=DateTimeField()),
            function="ledger_balance_before",
            output_field=BigIntegerField(),
        )
        return found.annotate(
            shown_minor=Case(When(kind=Kind.SYSTEM, then=total), default=F("balance_minor"))
        )

    @staff_act("Statement", right="view", icon="receipt_long", path="statement")
    def statement(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The account's transfers with the balance after each; for the house's, just the list."""
        account = self.row(request, object_id)
        if account.kind == Kind.SYSTEM:
            return self.transfers(request, object_id=object_id)
        try:
            page = selectors.statement(
                account, limit=STATEMENT_ROWS, cursor=request.GET.get("cursor")
            )
        except CursorInvalid:
            return HttpResponseRedirect(request.path)
        context = {
            **self.admin_site.each_context(request),
            "title": "Statement",
            "opts": self.opts,
            "original": account,
            "page": page,
            "transfer_url": reverse("admin:billing_transfer_changelist"),
        }
        return TemplateResponse(request, "admin/billing/statement.html", context)

    @staff_act("Transfers", right="view", icon="sync_alt", path="transfers")
    def transfers(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the list of transfers that touch this account."""
        account = self.row(request, object_id)
        return HttpResponseRedirect(list_of(Transfer, account=account.pk))


class UsesOfTransfer(ReadOnlyInline):
    """Which lots a transfer took from."""

    model = LotUse
    verbose_name_plural = "taken from lots"
    fields = [
        link("lot", "Lot"),
        money("amount_minor", "Took", unit=LOT_UNIT),
        money("returned_minor", "Came back", unit=LOT_UNIT),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[LotUse]:
        found: QuerySet[LotUse] = super().get_queryset(request)
        return found.select_related("lot__account").order_by("pk")


@admin.register(Transfer)
class TransferAdmin(LongTableAdmin):
    """Every movement of value there ever was."""

    list_display = [
        "id", "created_at", account_link("source", "From"), account_link("target", "To"),
        money("amount_minor", "Amount", unit=SOURCE_UNIT), "code", "group",
    ]  # fmt: skip
    list_select_related = ["source__owner", "target__owner"]
    list_filter = [AccountFilter, CodeFilter, SourceAssetFilter]
    search_fields = ["id", "key", "group"]
    search_help_text = "Transfer id, its whole key, or its group (like order:<id>)."
    fieldsets = [
        (None, {"fields": [
            "id", account_link("source", "From"), account_link("target", "To"),
            money("amount_minor", "Amount", unit=SOURCE_UNIT), "code",
        ]}),
        ("Cause", {"fields": ["key", "group", "reverses"]}),
        ("Moments", {"fields": ["occurred_at", "created_at"]}),
    ]  # fmt: skip
    inlines = [UsesOfTransfer]


@admin.register(Lot)
class LotAdmin(LongTableAdmin):
    """Every grant, and where its units and its money are now."""

    list_display = [
        "id", link("account.owner", "Owner"), money("granted_minor", "Granted", unit=UNIT),
        money("remaining_minor", "Remaining", unit=UNIT), money("held_minor", "Held", unit=UNIT),
        "promotional", "expires_at", "origin", "created_at",
    ]  # fmt: skip
    list_select_related = ["account__owner"]
    list_filter = ["is_open", "promotional", AccountAssetFilter]
    search_fields = ["id", "origin", "account__id", "account__owner__id", "account__owner__email"]
    search_help_text = "Lot id, origin (like order:<id>), account id, customer id or e-mail."
    fieldsets = [
        (None, {"fields": ["id", "account", "transfer", "replaces", "origin", "created_at"]}),
        ("Units", {"fields": [
            money("granted_minor", "Granted", unit=UNIT),
            money("remaining_minor", "Remaining", unit=UNIT),
            money("held_minor", "Held", unit=UNIT),
            money("used_minor", "Used", unit=UNIT),
            money("revoked_minor", "Taken back", unit=UNIT),
            money("expired_minor", "Expired", unit=UNIT),
        ]}),
        ("Burning", {"fields": ["expires_at", "priority", "promotional", "is_open"]}),
        ("Money", {"fields": ["cost", "recognised", "breakage", "refunded", "deferred"]}),
    ]  # fmt: skip

    @admin.display(description="Cost, without tax")
    def cost(self, lot: Lot) -> Any:
        return _of_cost(lot, lot.cost_minor)

    @admin.display(description="Earned")
    def recognised(self, lot: Lot) -> Any:
        return _of_cost(lot, lot.recognised_minor)

    @admin.display(description="Never used")
    def breakage(self, lot: Lot) -> Any:
        return _of_cost(lot, lot.breakage_minor)

    @admin.display(description="Refunded")
    def refunded(self, lot: Lot) -> Any:
        return _of_cost(lot, lot.refunded_minor)

    @admin.display(description="Still deferred")
    def deferred(self, lot: Lot) -> Any:
        return _of_cost(lot, lot.deferred_minor)


def _of_cost(lot: Lot, amount_minor: int) -> Money | None:
    return Money(amount_minor, asset(lot.cost_asset)) if lot.cost_asset else None


@admin.register(LotUse)
class LotUseAdmin(LongTableAdmin):
    """Which transfer took how much from which lot."""

    list_display = [
        "id", link("lot", "Lot"), link("transfer", "Transfer"),
        money("amount_minor", "Took", unit=LOT_UNIT),
        money("returned_minor", "Came back", unit=LOT_UNIT),
    ]  # fmt: skip
    list_select_related = ["lot__account", "transfer"]
    search_fields = ["id", "lot__id", "transfer__id", "transfer__key"]
    search_help_text = "Lot id, transfer id, or the transfer's whole key."
    fields = list_display


class PinsOfHold(ReadOnlyInline):
    """Which lots a hold pins."""

    model = HoldLot
    verbose_name_plural = "lots"
    fields = [link("lot", "Lot"), money("amount_minor", "Pinned", unit=LOT_UNIT)]

    def get_queryset(self, request: HttpRequest) -> QuerySet[HoldLot]:
        found: QuerySet[HoldLot] = super().get_queryset(request)
        return found.select_related("lot__account").order_by("pk")


@admin.register(Hold)
class HoldAdmin(LongTableAdmin):
    """Units that are set aside, or were."""

    list_display = [
        "id", link("account.owner", "Owner"), money("amount_minor", "Amount", unit=UNIT), "state",
        money("captured_minor", "Captured", unit=UNIT), "code", "deadline_at", "created_at",
    ]  # fmt: skip
    list_select_related = ["account__owner"]
    list_filter = ["state", AccountAssetFilter]
    search_fields = ["id", "key", "group", "account__owner__id", "account__owner__email"]
    search_help_text = "Hold id, its whole key or group, customer id or e-mail address."
    fieldsets = [
        (None, {"fields": ["id", "account", "state", "code"]}),
        ("Units", {"fields": [
            money("amount_minor", "Amount", unit=UNIT),
            money("captured_minor", "Captured", unit=UNIT),
        ]}),
        ("Cause", {"fields": ["key", "group"]}),
        ("Moments", {"fields": ["created_at", "deadline_at", "closed_at"]}),
    ]  # fmt: skip
    inlines = [PinsOfHold]
