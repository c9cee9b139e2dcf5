"""The hosted invoice: what ``hosted_invoice_url`` and ``invoice_pdf`` lead to."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.store import Json
from sandbox.stripe import ACCOUNT_ID, collection, hosted_invoices, invoices, payment_methods
from sandbox.stripe.context import Context
from sandbox.stripe.hosted_invoices import Attempt
from sandbox.stripe.pages import checkout_form, checkout_view, invoice_view, pdf
from sandbox.stripe.pages.common import Base, form_of, not_found, shown
from sandbox.web import TooLarge

NO_INVOICE = "There is no such invoice."
BASE = f"/i/{ACCOUNT_ID}/{{id}}"


class Pages(Base):
    """``/i/<account>/<invoice>``, its PDF and its 3-D Secure page."""

    def routes(self) -> list[Route]:
        """Their addresses."""
        return [
            Route(BASE, self.show, methods=["GET"]),
            Route(BASE, self.submit, methods=["POST"]),
            Route(f"{BASE}/pdf", self.download, methods=["GET"]),
            Route(f"{BASE}/challenge", self.show_challenge, methods=["GET"]),
            Route(f"{BASE}/challenge", self.answer_challenge, methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """The invoice as it stands."""
        with self.context() as context:
            invoice = _finalized(context, request)
            return not_found(NO_INVOICE) if invoice is None else _page(context, invoice)

    def download(self, request: Request) -> Response:
        """The same as a PDF."""
        with self.context() as context:
            invoice = _finalized(context, request)
        if invoice is None:
            return not_found(NO_INVOICE)
        name = f"invoice-{invoice['number']}.pdf"
        headers = {"Content-Disposition": f'inline; filename="{name}"'}
        content = pdf.page(invoice_view.as_text(invoice))
        return Response(content, media_type="application/pdf", headers=headers)

    async def submit(self, request: Request) -> Response:
        """Pay, by the saved card or by another one."""
        try:
            form = await form_of(request)
        except TooLarge:
            return shown("Too large", "The form is too large.", status=413)
        return await run_in_threadpool(self._submit, request, form)

    def _submit(self, request: Request, form: dict[str, str]) -> Response:
        with self.context() as context:
            invoice = _finalized(context, request)
            if invoice is None:
                return not_found(NO_INVOICE)
            if invoice["status"] not in hosted_invoices.PAYABLE:  # the button was pressed twice
                return RedirectResponse(_address(invoice), status_code=303)
            method, errors = _method(context, invoice, form)
            if method is None:
                return _page(context, invoice, form, errors, status=422)
            attempt = hosted_invoices.pay(context, invoice["id"], method)
            return _after(context, invoice, attempt, form)

    def show_challenge(self, request: Request) -> Response:
        """The bank's page."""
        with self.context() as context:
            invoice = _finalized(context, request)
            if invoice is None or hosted_invoices.challenged(context, invoice) is None:
                return not_found("There is nothing to authenticate.")
            asked = f"The sandbox's bank asks: is it you who pays {invoice_view.due(invoice)}?"
            return shown("Authentication – SANDBOX", checkout_view.challenge(asked))

    async def answer_challenge(self, request: Request) -> Response:
        """Authorise or fail."""
        try:
            form = await form_of(request)
        except TooLarge:
            return shown("Too large", "The form is too large.", status=413)
        return await run_in_threadpool(self._answer_challenge, request, form)

    def _answer_challenge(self, request: Request, form: dict[str, str]) -> Response:
        with self.context() as context:
            invoice = _finalized(context, request)
            if invoice is None:
                return not_found(NO_INVOICE)
            if hosted_invoices.challenged(context, invoice) is None:
                return RedirectResponse(_address(invoice), status_code=303)
            authorised = form.get("outcome") == "authorised"
            attempt = hosted_invoices.authenticate(context, invoice["id"], authorised=authorised)
            return _after(context, invoice, attempt, {})


def _finalized(context: Context, request: Request) -> Json | None:
    """The invoice of the address; a draft is shown to nobody."""
    invoice = context.tx.get(invoices.KIND, request.path_params["id"])
    return None if invoice is None or invoice["status"] == "draft" else invoice


def _address(invoice: Json) -> str:
    return BASE.replace("{id}", invoice["id"])


def _method(
    context: Context, invoice: Json, form: dict[str, str]
) -> tuple[Json | None, dict[str, str]]:
    """The saved card, or the one that was typed, or what is wrong with it by field."""
    saved = _saved(context, invoice)
    if form.get("action") == "pay-saved" and saved is not None:
        return saved, {}
    errors: dict[str, str] = {}
    card, expiry = checkout_form.typed_card(context, form, errors)
    if errors or card is None:
        return None, errors
    name = form.get("name", "").strip()[:256] or None
    email = invoice["customer_email"]
    return payment_methods.create_card(context, card, expiry=expiry, email=email, name=name), {}


def _saved(context: Context, invoice: Json) -> Json | None:
    return context.tx.get(payment_methods.KIND, collection.method_for(context, invoice) or "")


def _after(context: Context, invoice: Json, attempt: Attempt, form: dict[str, str]) -> Response:
    if attempt.outcome == "challenge":
        return RedirectResponse(f"{_address(invoice)}/challenge", status_code=303)
    if attempt.outcome == "declined":
        fresh = context.need(invoices.KIND, invoice["id"])
        return _page(context, fresh, form, {"card_number": attempt.message}, status=402)
    return RedirectResponse(_address(invoice), status_code=303)


def _page(
    context: Context,
    invoice: Json,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    *,
    status: int = 200,
) -> Response:
    payable = invoice["status"] in hosted_invoices.PAYABLE
    payment = None
    if payable:
        payment = invoice_view.payment(_saved(context, invoice), form or {}, errors or {})
    view = invoice_view.page(invoice, payment, receipts=_receipts(context, invoice))
    return shown("Invoice – SANDBOX", view, status=status)


def _receipts(context: Context, invoice: Json) -> list[str]:
    """Addresses of the receipts for what paid it."""
    found = []
    for payment in invoices.payments_of(context, invoice["id"]):
        intent = context.need("payment_intent", payment["payment"]["payment_intent"])
        charge = context.tx.get("charge", intent["latest_charge"] or "")
        if charge is not None and charge["receipt_url"]:
            found.append(f"/receipts/{charge['id']}")
    return found
