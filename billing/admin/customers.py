"""A customer's page: who they are, and all of their money on one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse

from accounts.admin import CustomerAdmin as PartyAdmin
from accounts.models import Customer
from billing.admin import customer_money
from billing.admin.adjustment_acts import GrantPage, TakePage
from billing.admin.base import Acting, staff_act
from billing.models import LedgerAccount
from billing.money import CREDIT, Money

admin.site.unregister(Customer)


@admin.register(Customer)
class CustomerAdmin(Acting, PartyAdmin):
    """The billed party with its wallets, statement, orders, payments and refunds."""

    list_display = ["__str__", "email", "kind", "credits", "country", "created_at"]
    search_help_text = "Name, e-mail address, a member's address, or id."
    change_form_outer_before_template = "admin/billing/customer_wallets.html"
    change_form_outer_after_template = "admin/billing/customer_money.html"
    actions_detail = ["grant_credits", "take_credits"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        found: QuerySet[Customer] = super().get_queryset(request)
        wallet = LedgerAccount.objects.filter(
            owner=OuterRef("pk"), role="wallet", asset=CREDIT.code
        )
        return found.annotate(wallet_minor=Subquery(wallet.values("balance_minor")))

    def get_object(self, request: Any, object_id: str, from_field: str | None = None) -> Any:
        """Read once for a page, in one query with the accounts whose money it shows."""
        if not hasattr(request, "shown_customer"):
            accounts = customer_money.accounts_of(object_id)
            if accounts:
                found = accounts[0].owner
            else:
                found = super().get_object(request, object_id, from_field)
            if found is not None:
                found.known_accounts = accounts
            request.shown_customer = found
        return request.shown_customer

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        """Balances are for those who may look at the ledger."""
        may_look = request.user.has_perm("billing.view_ledgeraccount")
        return [name for name in self.list_display if may_look or name != "credits"]

    @admin.display(description="Credits", ordering="wallet_minor")
    def credits(self, customer: Any) -> Money:
        """What the wallet holds, held and expiring units included."""
        return Money(customer.wallet_minor or 0, CREDIT)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        customer = self.row(request, object_id)
        more = {"money": customer_money.sections(customer, request.user)}
        answer: HttpResponse = super().change_view(
            request, object_id, form_url, (extra_context or {}) | more
        )
        return answer

    @staff_act("Grant credits", right="adjust", icon="add", path="grant")
    def grant_credits(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask how many, show what happens, grant."""
        return GrantPage(self, request, self.row(request, object_id)).respond()

    @staff_act("Take credits away", right="adjust", icon="remove", path="take")
    def take_credits(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask how many, show what happens, take."""
        return TakePage(self, request, self.row(request, object_id)).respond()
