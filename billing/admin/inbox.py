"""The inbox: what providers told us, and what became of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.enums import ActionVariant

from billing.admin.base import LongTableAdmin, badge, is_list, staff_act
from billing.admin.filters import EventStateFilter, RailFilter
from billing.admin.inbox_acts import HandleAgainPage, HandleSelectedPage
from billing.models import EventState, InboundEvent

STATE = badge(
    "state",
    "State",
    {EventState.NEW: "warning", EventState.FAILED: "danger", EventState.HANDLED: "success"},
)
SHOWN_FAILING = 10


@admin.register(InboundEvent)
class InboundEventAdmin(LongTableAdmin):
    """Events, newest first; those that fail, and how long the oldest waits, above the list."""

    list_display = ["external_id", "kind", STATE, "rail", "attempts", "received_at", "handled_at"]
    list_filter = [EventStateFilter, RailFilter]
    list_before_template = "admin/billing/inbox_attention.html"
    ordering = ["-received_at", "-id"]
    search_fields = ["external_id", "object_id"]
    search_help_text = "The provider's id of the event, or of the thing it is about."
    fieldsets = [
        (None, {"fields": ["external_id", "kind", "rail", "object_id", "state"]}),
        ("Handling", {"fields": ["attempts", "next_attempt_at", "handled_at", "last_error"]}),
        ("Mirror", {"fields": ["mirrored_at", "mirror_error"]}),
        ("Moments", {"fields": ["occurred_at", "received_at"]}),
        ("As it came", {"fields": ["payload"], "classes": ["collapse"]}),
    ]
    actions = ["handle_selected"]
    actions_detail = ["handle_again"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboundEvent]:
        """Lists do not read payloads."""
        found: QuerySet[InboundEvent] = super().get_queryset(request)
        return found.defer("payload", "mirror_error") if is_list(request) else found

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        answer: HttpResponse = super().changelist_view(
            request, (extra_context or {}) | attention(InboundEvent.objects.all())
        )
        return answer

    @staff_act(
        "Handle again",
        right="handle_again",
        icon="replay",
        path="handle-again",
        variant=ActionVariant.PRIMARY,
    )
    def handle_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Put one event back in the queue."""
        return HandleAgainPage(self, request, self.row(request, object_id)).respond()

    @admin.action(description="Handle again", permissions=["handle_again"])
    def handle_selected(
        self, request: HttpRequest, queryset: QuerySet[InboundEvent]
    ) -> HttpResponse:
        """Put several events back in the queue."""
        return HandleSelectedPage(self, request, queryset).respond()


def attention(events: QuerySet[InboundEvent]) -> dict[str, Any]:
    """What somebody should look at; reads the partial index of unhandled events only."""
    waiting = events.filter(state__in=[EventState.NEW, EventState.FAILED])
    failing = waiting.filter(state=EventState.FAILED).defer("payload", "mirror_error")
    return {
        "unhandled_count": waiting.count(),
        "oldest_unhandled": waiting.order_by("received_at").only("received_at").first(),
        "failing": list(failing.order_by("received_at")[:SHOWN_FAILING]),
    }
