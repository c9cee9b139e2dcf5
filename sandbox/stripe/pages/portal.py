"""The customer portal's page: plain forms, no script."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.store import Json
from sandbox.stripe import portal, portal_sessions
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.pages import checkout_form, checkout_view, portal_data, portal_view
from sandbox.stripe.pages.common import Base, form_of, not_found, shown
from sandbox.stripe.params import ADDRESS
from sandbox.web import TooLarge

BASE = "/p/session/{token}"
Form = dict[str, str]
Handler = Callable[[Context, Json, str, Form], Response]


class Pages(Base):
    """``/p/session/<token>`` and what it leads to."""

    def routes(self) -> list[Route]:
        """Their addresses."""
        pages: list[tuple[str, Handler, Handler]] = [
            ("", _home, _act),
            ("/cancel/{id}", _ask_cancel, _cancel),
            ("/payment-methods", _ask_card, _add_card),
            ("/challenge/{id}", _ask_challenge, _answer_challenge),
        ]
        return [
            route
            for path, show, submit in pages
            for route in (
                Route(BASE + path, self._show(show), methods=["GET"]),
                Route(BASE + path, self._submit(submit), methods=["POST"]),
            )
        ]

    def _show(self, handler: Handler) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            return self._visited(request, handler, dict(request.query_params))

        return endpoint

    def _submit(self, handler: Handler) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            try:
                form = await form_of(request)
            except TooLarge:
                return shown("Too large", "The form is too large.", status=413)
            return await run_in_threadpool(self._visited, request, handler, form)

        return endpoint

    def _visited(self, request: Request, handler: Handler, form: Form) -> Response:
        """Answer within a live session; a refusal leaves nothing half done."""
        token = request.path_params["token"]
        with self.context() as context:
            session = portal_sessions.visit(context, token)
            if session is None:
                return _ended(context, token)
            context.tx.run("SAVEPOINT visit")
            try:
                return handler(context, session, request.path_params.get("id", ""), form)
            except StripeError as refusal:
                context.tx.run("ROLLBACK TO visit")
                status = 404 if refusal.status == 404 else 422
                return _page(context, session, error=refusal.message, status=status)


def _ended(context: Context, token: str) -> Response:
    session = portal_sessions.by_token(context, token)
    if session is None:
        return not_found("There is no such portal session.")
    view = portal_view.ended(session["return_url"])
    return shown("Portal – SANDBOX", view, status=410)


def _address(session: Json, context: Context, path: str = "") -> str:
    token = context.tx.private(portal_sessions.KIND, session["id"])["token"]
    return BASE.replace("{token}", token) + path


def _go(context: Context, session: Json, path: str = "") -> Response:
    return RedirectResponse(_address(session, context, path), status_code=303)


def _page(
    context: Context, session: Json, *, error: str | None = None, status: int = 200
) -> Response:
    data = portal_data.gather(context, session, _address(session, context))
    return shown("Portal – SANDBOX", portal_view.home(data, error), status=status)


def _home(context: Context, session: Json, id: str, form: Form) -> Response:
    """The whole portal; a session with a flow leads to its step first."""
    flow = session["flow"]
    if flow is None or "home" in form:
        return _page(context, session)
    if flow["type"] == "payment_method_update":
        return _go(context, session, "/payment-methods")
    return _go(context, session, f"/cancel/{flow['subscription_cancel']['subscription']}")


def _done(context: Context, session: Json, type: str) -> Response:
    """Where it goes on after a step: a flow may lead away."""
    flow = session["flow"]
    if flow is None or flow["type"] != type:
        return _go(context, session, "?home=1" if flow else "")
    after = flow["after_completion"]
    if after["type"] == "redirect":
        return RedirectResponse(after["redirect"]["return_url"], status_code=303)
    if after["type"] == "hosted_confirmation":
        message = after["hosted_confirmation"]["custom_message"]
        view = portal_view.confirmed(message, session["return_url"])
        return shown("Portal – SANDBOX", view)
    return _go(context, session, "?home=1")


def _act(context: Context, session: Json, id: str, form: Form) -> Response:
    """One of the buttons of the main page."""
    target = form.get("id", "")
    action = form.get("action", "")
    if action == "resume":
        portal.resume(context, session, target)
    elif action == "default":
        portal.set_default(context, session, target)
    elif action == "remove":
        portal.remove(context, session, target)
    elif action == "details":
        portal.change_details(context, session, _details(form))
    else:
        raise StripeError("There is no such button.")
    return _go(context, session, "?home=1" if session["flow"] else "")


def _details(form: Form) -> Json:
    """What was typed of name, e-mail, phone and address. Raises StripeError for a bad e-mail."""
    sent: Json = {
        name: form[name].strip()[:256] or None for name in ("name", "phone") if name in form
    }
    if "email" in form:
        sent["email"] = form["email"].strip()
        if len(sent["email"]) > 512 or not re.fullmatch(checkout_form.EMAIL, sent["email"]):
            raise StripeError("Enter an e-mail address.")
    address = {name: form[name].strip()[:256] or None for name in ADDRESS if name in form}
    if address:
        sent["address"] = address if any(address.values()) else None
    return sent


def _ask_cancel(context: Context, session: Json, id: str, form: Form) -> Response:
    """Whether the plan shall really end."""
    offered = portal.offered(context, session, "subscription_cancel")
    subscription = portal.subscription_of(context, session, id)
    plan = portal_data.plan_of(context, subscription)
    back = _address(session, context, "?home=1")
    view = portal_view.ask_cancel(plan, offered, back)
    return shown("Cancel – SANDBOX", view, leads_to=_leads_to(session))


def _cancel(context: Context, session: Json, id: str, form: Form) -> Response:
    offered = portal.feature(context, session, "subscription_cancel")
    reasons = offered["cancellation_reason"]["options"]
    feedback = form.get("feedback") if form.get("feedback") in reasons else None
    portal.cancel(context, session, id, feedback=feedback)
    return _done(context, session, "subscription_cancel")


def _ask_card(context: Context, session: Json, id: str, form: Form) -> Response:
    """The form for a new card."""
    portal.offered(context, session, "payment_method_update")
    return _card_page(context, session, {}, {})


def _card_page(
    context: Context, session: Json, form: Form, errors: dict[str, str], *, status: int = 200
) -> Response:
    view = portal_view.ask_card(form, errors, _address(session, context, "?home=1"))
    return shown("New card – SANDBOX", view, status=status, leads_to=_leads_to(session))


def _add_card(context: Context, session: Json, id: str, form: Form) -> Response:
    errors: dict[str, str] = {}
    card, expiry = checkout_form.typed_card(context, form, errors)
    if errors or card is None:
        return _card_page(context, session, form, errors, status=422)
    return _after_card(context, session, portal.add_card(context, session, card, expiry), form)


def _after_card(context: Context, session: Json, intent: Json, form: Form) -> Response:
    if intent["status"] == "requires_action":
        return _go(context, session, f"/challenge/{intent['id']}")
    if intent["status"] != "succeeded":
        errors = {"card_number": intent["last_setup_error"]["message"]}
        return _card_page(context, session, form, errors, status=402)
    return _done(context, session, "payment_method_update")


def _ask_challenge(context: Context, session: Json, id: str, form: Form) -> Response:
    """The bank's page."""
    portal.waiting_setup(context, session, id)
    asked = "The sandbox's bank asks: is it you who saves this card for later payments?"
    view = checkout_view.challenge(asked)
    return shown("Authentication – SANDBOX", view, leads_to=_leads_to(session))


def _answer_challenge(context: Context, session: Json, id: str, form: Form) -> Response:
    authorised = form.get("outcome") == "authorised"
    intent = portal.answer_setup(context, session, id, authorised=authorised)
    return _after_card(context, session, intent, {})


def _leads_to(session: Json) -> str:
    """Where a flow's form may end up."""
    after = (session["flow"] or {}).get("after_completion") or {}
    return str((after.get("redirect") or {}).get("return_url", ""))
