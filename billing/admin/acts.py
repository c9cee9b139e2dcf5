"""Pages on which staff act: a form with a reason, what exactly would happen, and only then a yes.

The yes carries a digest of what was shown: if that changed meanwhile, it is shown again instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.models import User
from billing.admin import base
from billing.errors import IdempotencyMismatch
from billing.models import Transfer
from billing.money import Money, asset
from billing.services import staff
from billing.services.staff import Note
from common import ids
from common.errors import BillingError

Cleaned: TypeAlias = dict[str, Any]
Subject = TypeVar("Subject", bound=Model)

SENT_BEFORE = "This form was sent before, with other contents. Look again and send it anew."
CHANGED = "Something changed meanwhile. This is what would happen now."


class ActForm(forms.Form):
    """What every act asks: why. ``key`` makes two submissions of one form a single act."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=ids.uuid7)
    reason = forms.CharField(
        max_length=200,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Kept in the log of staff actions, with your name.",
    )

    @property
    def asked(self) -> list[forms.BoundField]:
        """The fields of the act itself, the reason last."""
        names = [name for name in self.fields if name not in ("key", "reason")]
        return [self[name] for name in [*names, "reason"]]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is so, or would happen."""

    title: str
    value: object
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What an act would do, in amounts, and the ledger's own movements behind it."""

    lines: Sequence[Line]
    transfers: Sequence[Transfer] = ()

    @property
    def movements(self) -> list[tuple[str, str, Money]]:
        """From, to, how much."""
        return [
            (
                base.account_name(one.source),
                base.account_name(one.target),
                Money(one.amount_minor, asset(one.source.asset)),
            )
            for one in self.transfers
        ]

    @property
    def digest(self) -> str:
        """Changes when any of it does."""
        told = [f"{line.title}: {line.value}" for line in self.lines]
        moved = [" ".join(map(str, movement)) for movement in self.movements]
        return hashlib.sha256("\n".join([*told, *moved]).encode()).hexdigest()


class ActPage:
    """One act on one row. Subclasses say what it would do, and do it."""

    title: ClassVar[str]
    submit: ClassVar[str]
    form_class: ClassVar[type[ActForm]] = ActForm
    # Whether the form asks more than the reason, so that a second page must show what comes of it.
    asks_first: ClassVar[bool] = False
    is_dangerous: ClassVar[bool] = False

    def __init__(self, admin: base.Acting, request: HttpRequest, subject: Any) -> None:
        self.admin = admin
        self.request = request
        self.subject = subject

    def facts(self) -> Iterable[Line]:
        """What is so now, shown above the form."""
        return ()

    def preview(self, cleaned: Cleaned) -> Preview:
        """What would happen. Raises BillingError when it cannot."""
        raise NotImplementedError

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        """Do it, once per key of the note. Raises BillingError when it cannot."""
        raise NotImplementedError

    def success(self, cleaned: Cleaned) -> str:
        """The sentence shown afterwards."""
        raise NotImplementedError

    def form(self, data: dict[str, str] | None = None) -> ActForm:
        """The form, empty or filled in."""
        return self.form_class(data)

    def settled(self, form: ActForm, preview: Preview) -> ActForm:
        """The form that the yes sends: as filled in, unless the preview says it more exactly."""
        return form

    def back(self) -> str:
        """Where to go afterwards."""
        return base.page_of(self.subject)

    def respond(self) -> HttpResponse:
        """Answer the request: the form, what would happen, or the act."""
        if self.request.method != "POST":
            return self._ask()
        form = self.form(self.request.POST.dict())
        if not form.is_valid() or "edit" in self.request.POST:
            return self._page(form, None if self.asks_first else self._try_preview(form))
        note = Note(self._staff(), form.cleaned_data["reason"], str(form.cleaned_data["key"]))
        try:
            return self._act(form, note)
        except IdempotencyMismatch:
            return self._page(self._anew(form), None)
        except BillingError as refusal:
            if self.is_done(note):
                return self._done(form)
            form.add_error(None, str(refusal))
            return self._page(form, None)

    def is_done(self, note: Note) -> bool:
        """Whether this very form was submitted before, by a double click say."""
        return staff.done(note.key) is not None

    def _ask(self) -> HttpResponse:
        form = self.form()
        if self.asks_first:
            return self._page(form, None)
        try:
            return self._page(form, self.preview({}))
        except BillingError as refusal:
            messages.error(self.request, str(refusal))
            return HttpResponseRedirect(self.back())

    def _act(self, form: ActForm, note: Note) -> HttpResponse:
        if not self.is_done(note):
            preview = self.preview(form.cleaned_data)
            seen = self.request.POST.get("seen", "")
            if seen != preview.digest:
                note_text = CHANGED if seen else ""
                return self._page(self.settled(form, preview), preview, note=note_text)
        self.perform(form.cleaned_data, note)
        return self._done(form)

    def _done(self, form: ActForm) -> HttpResponse:
        messages.success(self.request, self.success(form.cleaned_data))
        return HttpResponseRedirect(self.back())

    def _anew(self, form: ActForm) -> ActForm:
        """The same form under a new key: the old one was sent before, with other contents."""
        form = self.form(self.request.POST.dict() | {"key": str(ids.uuid7())})
        form.add_error(None, SENT_BEFORE)
        return form

    def _try_preview(self, form: ActForm) -> Preview | None:
        try:
            return self.preview({})
        except BillingError as refusal:
            form.add_error(None, str(refusal))
            return None

    def _page(self, form: ActForm, preview: Preview | None, *, note: str = "") -> HttpResponse:
        context = {
            **self.admin.admin_site.each_context(self.request),
            "title": self.title,
            "act": self,
            "form": form,
            "facts": list(self.facts()),
            "preview": preview,
            "is_final": preview is not None,
            "is_fixed": preview is not None and self.asks_first,
            "note": note,
            "back": self.back(),
            **self.context(),
        }
        self.request.current_app = self.admin.admin_site.name
        return TemplateResponse(self.request, "admin/billing/act.html", context)

    def context(self) -> dict[str, Any]:
        """More for the template: by default, the row acted on."""
        return {"opts": self.subject._meta, "original": self.subject}

    def _staff(self) -> User:
        if not isinstance(self.request.user, User):
            raise TypeError("the admin lets nobody in who is not signed in")
        return self.request.user


class BulkActPage(ActPage):
    """The same act on every selected row; answers a changelist's action."""

    action: ClassVar[str]
    limit: ClassVar[int] = 200

    def __init__(self, *told: Any) -> None:
        super().__init__(*told)
        self.subject = list(self.subject[: self.limit])
        self.refused = 0

    def preview(self, cleaned: Cleaned) -> Preview:
        return Preview([self._line(row) for row in self.subject])

    def line(self, row: Any) -> Line:
        """What would happen to one row. Raises BillingError when it cannot."""
        raise NotImplementedError

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        """Each row for itself; those that cannot are left as they are."""
        for row in self.subject:
            try:
                self.perform_one(row, Note(note.staff, note.reason, f"{note.key}:{row.pk}"))
            except BillingError:
                self.refused += 1

    def perform_one(self, row: Any, note: Note) -> None:
        """Do it to one row, once per key of the note."""
        raise NotImplementedError

    def success(self, cleaned: Cleaned) -> str:
        """How many were done, and how many were left as they were."""
        text = f"{self.submit}: {len(self.subject) - self.refused} done"
        return f"{text}, {self.refused} not possible." if self.refused else f"{text}."

    def is_done(self, note: Note) -> bool:
        return any(staff.done(f"{note.key}:{row.pk}") for row in self.subject)

    def _line(self, row: Any) -> Line:
        try:
            return self.line(row)
        except BillingError as refusal:
            return Line(str(row), refusal, is_warning=True)

    def back(self) -> str:
        return self.request.get_full_path()

    def respond(self) -> HttpResponse:
        """The first request is the changelist's own POST and carries no form yet."""
        return self._ask() if "key" not in self.request.POST else super().respond()

    def context(self) -> dict[str, Any]:
        selected: list[UUID | int] = [row.pk for row in self.subject]
        return {"opts": self.admin.model._meta, "selected": selected, "action": self.action}
