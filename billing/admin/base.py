"""What every admin page of the money core has in common: it looks, and changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.db import models
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.paginator import InfinitePaginator

from billing.models import LedgerAccount
from billing.money import Money, asset

Column = Callable[[Any], Any]
Method = TypeVar("Method", bound=Callable[..., Any])

# What staff may do, beside looking: the name used in actions → the permission.
RIGHTS = {
    "refund": "billing.refund_payment",
    "adjust": "billing.adjust_credits",
    "apply": "billing.apply_unapplied",
    "handle_again": "billing.handle_event_again",
    "reconcile": "billing.reconcile",
    # Ending a subscription takes away what was paid for: whoever may refund that may end it.
    "end": "billing.refund_payment",
}


class Acting(ModelAdmin):  # type: ignore[misc]
    """Pages with acts. Each act needs its own right, and the right to look."""

    def has_refund_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "refund")

    def has_adjust_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "adjust")

    def has_apply_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "apply")

    def has_handle_again_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "handle_again")

    def has_reconcile_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "reconcile")

    def has_end_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "end")

    def _may(self, request: HttpRequest, act: str) -> bool:
        can_look: bool = self.has_view_permission(request)
        return can_look and request.user.has_perm(RIGHTS[act])

    def row(self, request: HttpRequest, object_id: str) -> Any:
        """The row an address names, or 404."""
        found = self.get_object(request, unquote(object_id))
        if found is None:
            raise Http404
        return found


class ReadOnly:
    """Nobody adds, changes or deletes here, superusers included."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, Acting):
    """A list and a page of rows that staff may look at.

    Searching looks for the whole text in ``search_fields``: an address in e-mail columns, and
    anything else, exactly, in ids and references, so that a long table answers from its indexes.
    """

    show_full_result_count = False
    list_per_page = 50
    list_fullwidth = True
    ordering: Sequence[str] = ["-pk"]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Sequence[Any]:
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(pk__in=[])
        for path in self.get_search_fields(request):
            wanted |= _condition(self.model, path, term)
        return queryset.filter(wanted), False


class LongTableAdmin(ReadOnlyAdmin):
    """For tables without end: pages are not counted."""

    paginator = InfinitePaginator


class ReadOnlyInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """Rows that belong to the one shown."""

    extra = 0
    can_delete = False
    show_change_link = True

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Sequence[Any]:
        fields: Sequence[Any] = self.fields or ()
        return fields


def is_list(request: HttpRequest) -> bool:
    """Whether a changelist is asked for, not the page of one row."""
    match = request.resolver_match
    return match is not None and (match.url_name or "").endswith("_changelist")


def staff_act(
    title: str, *, right: str, icon: str, path: str, variant: Any = None
) -> Callable[[Method], Method]:
    """A button on a row's page for those who have the right."""
    decorate: Callable[[Method], Method] = action(
        description=title, permissions=[right], icon=icon, url_path=path, variant=variant
    )
    return decorate


def money(field: str, title: str, *, unit: str = "asset", sign: int = 1) -> Column:
    """A column that shows ``field``, an amount in the smallest unit of the asset in ``unit``."""

    @admin.display(description=title, ordering=field)
    def column(row: Any) -> Money | None:
        amount_minor = _follow(row, field)
        if amount_minor is None:
            return None
        return Money(sign * int(amount_minor), asset(_follow(row, unit)))

    return column


def link(path: str, title: str) -> Column:
    """A column that shows a related row and leads to its page; load it with select_related."""

    @admin.display(description=title, ordering=path.replace(".", "__"))
    def column(row: Any) -> SafeString | None:
        related = _follow(row, path)
        return None if related is None else link_to(related)

    return column


def badge(field: str, title: str, colours: dict[Any, str]) -> Column:
    """A column that shows a choice as a coloured label."""

    def column(row: Any) -> tuple[str, str]:
        return str(getattr(row, field)), getattr(row, f"get_{field}_display")()

    return labels(title, colours, ordering=field)(column)


def labels(
    title: str, colours: dict[Any, str], *, ordering: str | None = None
) -> Callable[[Method], Method]:
    """Makes a column show its text, or (key, text), as a coloured label."""
    decorate: Callable[[Method], Method] = display(
        description=title, ordering=ordering, label=colours
    )
    return decorate


def text(path: str, title: str) -> Column:
    """A column of a related row's value."""

    @admin.display(description=title, ordering=path.replace(".", "__"))
    def column(row: Any) -> Any:
        return _follow(row, path)

    return column


def account_link(path: str, title: str) -> Column:
    """A column that names a ledger account by its owner, and leads to its page."""

    @admin.display(description=title, ordering=path)
    def column(row: Any) -> SafeString:
        account: LedgerAccount = getattr(row, path)
        return link_to(account, account_name(account))

    return column


def account_name(account: LedgerAccount) -> str:
    """The account as people say it; load it with its owner."""
    return f"{account.role} of {account.owner}" if account.owner_id else account.role


def link_to(row: Model, title: str = "") -> SafeString:
    """A link to a row's own page in the admin."""
    return format_html('<a class="text-link" href="{}">{}</a>', page_of(row), title or str(row))


def page_of(row: Model) -> str:
    """The address of a row's own page in the admin."""
    return reverse(f"admin:{_url_name(row)}_change", args=[row.pk])


def list_of(model: type[Model], **filters: Any) -> str:
    """The address of a model's list, narrowed by lookups."""
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    address = reverse(f"admin:{_url_name(model)}_changelist")
    return f"{address}?{query}" if query else address


def _url_name(model: Model | type[Model]) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}"


def _follow(row: Any, path: str) -> Any:
    for name in path.split("."):
        row = getattr(row, name) if row is not None else None
    return row


def _condition(model: type[Model], path: str, term: str) -> Q:
    field = _field(model, path.split("__"))
    if isinstance(field, models.EmailField):
        return Q(**{f"{path}__icontains": term}) if "@" in term else Q(pk__in=[])
    if "@" in term:
        return Q(pk__in=[])
    value = _value(field, term)
    return Q(pk__in=[]) if value is None else Q(**{path: value})


def _field(model: type[Model], names: Iterable[str]) -> Any:
    field: Any = None
    for name in names:
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        model = getattr(field, "related_model", None) or model
    return field


def _value(field: Any, term: str) -> Any:
    """The term as that column holds it; None when it cannot be there."""
    if field.is_relation:
        field = field.target_field
    if isinstance(field, models.UUIDField):
        try:
            return uuid.UUID(term)
        except ValueError:
            return None
    if isinstance(field, models.IntegerField | models.AutoField):
        return int(term) if term.isdecimal() and len(term) < 19 else None
    return term
