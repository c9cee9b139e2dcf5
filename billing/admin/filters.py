"""Filters that read no table to know their choices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest

from billing import catalogue
from billing.models import Code, EmailKind, ItemState, LedgerAccount
from billing.models.reconciliation import OPEN
from billing.money import ASSETS
from billing.services import rails
from billing.services.staff import Act

Choices = list[tuple[str, str]]


class _ColumnFilter(admin.SimpleListFilter):
    """A column with one of the choices."""

    column: ClassVar[str]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset if value is None else queryset.filter(**{self.column: value})


class AssetFilter(_ColumnFilter):
    """Rows in one asset."""

    title = "asset"
    parameter_name = "asset"
    column = "asset"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(code, code) for code in ASSETS]


class AccountAssetFilter(AssetFilter):
    """Rows of accounts in one asset."""

    column = "account__asset"


class SourceAssetFilter(AssetFilter):
    """Transfers of one asset."""

    column = "source__asset"


class RailFilter(_ColumnFilter):
    """Rows that came over one rail."""

    title = "way to pay"
    parameter_name = "rail"
    column = "rail"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(rail.name, str(rail.title)) for rail in rails.available()]


class EmailKindFilter(_ColumnFilter):
    """E-mails that tell one thing."""

    title = "kind"
    parameter_name = "kind"
    column = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(kind.value, str(kind.label)) for kind in EmailKind]


class PlanFilter(_ColumnFilter):
    """Rows of one plan of the catalogue."""

    title = "plan"
    parameter_name = "plan"
    column = "plan_slug"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(plan.slug, plan.name) for plan in catalogue.current().plans if not plan.is_free]


class PaymentRailFilter(RailFilter):
    """Refunds of payments over one rail."""

    column = "payment__rail"


class CodeFilter(_ColumnFilter):
    """Transfers of one kind of act."""

    title = "kind of act"
    parameter_name = "code"
    column = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(code, label) for code, label in Code.choices]


class ActFilter(_ColumnFilter):
    """One kind of act of staff."""

    title = "act"
    parameter_name = "act"
    column = "act"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(act, label) for act, label in Act.choices]


class AccountFilter(admin.SimpleListFilter):
    """Transfers that touch one account; shown when a link brought it."""

    title = "account"
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        wanted = request.GET.get(self.parameter_name, "")
        account = LedgerAccount.objects.filter(pk=wanted).first() if wanted.isdecimal() else None
        return [(wanted, str(account))] if account else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        return queryset.filter(Q(source_id=value) | Q(target_id=value))


class DeliveryFilter(admin.SimpleListFilter):
    """Orders whose money is here and whose goods are not."""

    title = "delivery"
    parameter_name = "delivery"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [("missing", "paid, undelivered"), ("done", "delivered")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "missing":
            return queryset.filter(status="paid", delivered_at=None)
        if self.value() == "done":
            return queryset.filter(delivered_at__isnull=False)
        return queryset


class LeftFilter(admin.SimpleListFilter):
    """Money that is still there, or that went back."""

    title = "money"
    parameter_name = "left"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [("yes", "something left"), ("no", "all on its way back"), ("all", "all of it")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        for value, title in self.lookup_choices:
            yield {
                "selected": value == (self.value() or "yes"),
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        everything = F("amount_minor")
        if self.value() == "no":
            return queryset.filter(refunding_minor=everything)
        if self.value() == "all":
            return queryset
        return queryset.filter(refunding_minor__lt=everything)


class EventStateFilter(_ColumnFilter):
    """What became of an event."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [
            ("unhandled", "failing or waiting"),
            ("failed", "failing"),
            ("new", "waiting"),
            ("handled", "handled"),
            ("ignored", "nothing to do"),
            ("unmirrored", "mirror missing"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case None:
                return queryset
            case "unhandled":
                return queryset.filter(state__in=["new", "failed"])
            case "unmirrored":
                return queryset.filter(mirrored_at=None).exclude(state="new")
            case state:
                return queryset.filter(state=state)


class ReconciledRailFilter(RailFilter):
    """Differences of one way to pay."""

    column = "run__rail"


class DifferenceStateFilter(_ColumnFilter):
    """What became of a difference."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [("open", "waiting for somebody"), *ItemState.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case None:
                return queryset
            case "open":
                return queryset.filter(state__in=OPEN)
            case state:
                return queryset.filter(state=state)


class NounFilter(admin.SimpleListFilter):
    """Differences about one sort of thing: kinds begin with what they are about."""

    title = "about"
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        nouns = "payment fee order invoice subscription refund dispute balance"
        return [(noun, noun) for noun in nouns.split()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset if value is None else queryset.filter(kind__startswith=f"{value}_")
