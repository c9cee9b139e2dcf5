"""The hosted checkout page: plain forms, no script."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.store import Json
from sandbox.stripe import checkout, periods, pricing, sessions
from sandbox.stripe.checkout import Outcome
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.pages import checkout_form, checkout_summary, checkout_view
from sandbox.stripe.pages.checkout_summary import Plan
from sandbox.stripe.pages.common import Base, day, form_of, not_found, shown
from sandbox.web import TooLarge

NO_SESSION = "There is no such checkout session."


class Pages(Base):
    """``/c/pay/<session>`` and its 3-D Secure page."""

    def routes(self) -> list[Route]:
        """Their addresses."""
        return [
            Route("/c/pay/{id}", self.show, methods=["GET"]),
            Route("/c/pay/{id}", self.submit, methods=["POST"]),
            Route("/c/pay/{id}/challenge", self.show_challenge, methods=["GET"]),
            Route("/c/pay/{id}/challenge", self.answer_challenge, methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """The page as it stands."""
        with self.context() as context:
            session = context.tx.get(sessions.KIND, request.path_params["id"])
            if session is None:
                return not_found(NO_SESSION)
            if session["status"] != "open":
                return _over(session)
            self._refresh(context, session)
            return _page(context, session)

    def _refresh(self, context: Context, session: Json) -> None:
        """Show today's tax rate, not that of the session's birth."""
        private = context.tx.private(sessions.KIND, session["id"])
        pricing.reprice(context, session, private)
        context.tx.save(session)

    async def submit(self, request: Request) -> Response:
        """One of the page's buttons."""
        try:
            form = await form_of(request)
        except TooLarge:
            return shown("Too large", "The form is too large.", status=413)
        return await run_in_threadpool(self._submit, request.path_params["id"], form)

    def _submit(self, id: str, form: dict[str, str]) -> Response:
        with self.context() as context:
            session = context.tx.get(sessions.KIND, id)
            if session is None:
                return not_found(NO_SESSION)
            if session["status"] == "complete":  # the button was pressed twice
                return RedirectResponse(success_url(session), status_code=303)
            if session["status"] != "open":
                return _over(session)
            if form.get("action") == "pay":
                return self._pay(context, session, form)
            return self._change(context, session, form)

    def _change(self, context: Context, session: Json, form: dict[str, str]) -> Response:
        """Promotion code or quantity."""
        errors: dict[str, str] = {}
        context.tx.run("SAVEPOINT change")
        try:
            if form.get("action") == "quantity":
                quantity = form.get("quantity", "")
                checkout.set_quantity(
                    context, session, int(quantity) if quantity.isdecimal() else 0
                )
            elif form.get("action") == "remove":
                checkout.use_code(context, session, None)
            else:
                checkout.use_code(context, session, form.get("promotion_code", "")[:500])
        except (StripeError, ValueError) as problem:
            context.tx.run("ROLLBACK TO change")
            field = "quantity" if form.get("action") == "quantity" else "promotion_code"
            message = problem.message if isinstance(problem, StripeError) else "Not a number."
            errors[field] = message
        if not errors:
            return RedirectResponse(f"/c/pay/{session['id']}", status_code=303)
        fresh = context.need(sessions.KIND, session["id"])
        return _page(context, fresh, form=form, errors=errors, status=422)

    def _pay(self, context: Context, session: Json, form: dict[str, str]) -> Response:
        payer, errors = checkout_form.payer(context, session, form)
        if errors or payer is None:
            return _page(context, session, form=form, errors=errors, status=422)
        return self._after(context, session, checkout.pay(context, session, payer), form)

    def _after(
        self, context: Context, session: Json, outcome: Outcome, form: dict[str, str]
    ) -> Response:
        if outcome.name == "challenge":
            return RedirectResponse(f"/c/pay/{session['id']}/challenge", status_code=303)
        if outcome.name == "declined":
            errors = {"card_number": outcome.message}
            return _page(context, session, form=form, errors=errors, status=402)
        return RedirectResponse(success_url(session), status_code=303)

    def show_challenge(self, request: Request) -> Response:
        """The bank's page."""
        with self.context() as context:
            session = context.tx.get(sessions.KIND, request.path_params["id"])
            if session is None or checkout.challenged(context, session) is None:
                return not_found("There is nothing to authenticate.")
            return shown(
                "Authentication – SANDBOX",
                checkout_view.challenge(checkout_view.question(session)),
                leads_to=session["success_url"],
            )

    async def answer_challenge(self, request: Request) -> Response:
        """Authorise or fail."""
        try:
            form = await form_of(request)
        except TooLarge:
            return shown("Too large", "The form is too large.", status=413)
        return await run_in_threadpool(self._answer_challenge, request.path_params["id"], form)

    def _answer_challenge(self, id: str, form: dict[str, str]) -> Response:
        with self.context() as context:
            session = context.tx.get(sessions.KIND, id)
            if session is not None and session["status"] == "complete":
                return RedirectResponse(success_url(session), status_code=303)
            if session is None or checkout.challenged(context, session) is None:
                return not_found("There is nothing to authenticate.")
            authorised = form.get("outcome") == "authorised"
            outcome = checkout.authenticate(context, session, authorised=authorised)
            return self._after(context, session, outcome, {})


def success_url(session: Json) -> str:
    """Where to go after paying."""
    url: str = session["success_url"]
    return url.replace("{CHECKOUT_SESSION_ID}", session["id"])


def _plan(context: Context, session: Json) -> Plan | None:
    """What a subscription will cost and when; None if none is sold."""
    if session["mode"] != "subscription":
        return None
    private = context.tx.private(sessions.KIND, session["id"])
    recurring = private["lines"][0]["recurring"]
    interval, count = recurring["interval"], recurring["count"]
    days = pricing.trial_days(private)
    spaced = {"interval": interval, "interval_count": count}
    next_at = context.now + days * periods.DAY_SECONDS
    if not days:
        next_at = periods.boundary(context.now, spaced, 1)
    return Plan(
        cycle=f"per {interval}" if count == 1 else f"every {count} {interval}s",
        trial_days=days,
        renewal_minor=pricing.renewal(context, session, private),
        next_on=day(next_at),
    )


def _page(
    context: Context,
    session: Json,
    *,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    lines = pricing.line_items(context, session)
    typed, wrong = form or {}, errors or {}
    discount = context.tx.private(sessions.KIND, session["id"])["discount"]
    code = context.tx.get("promotion_code", (discount or {}).get("promotion_code") or "")
    plan = _plan(context, session)
    summary = checkout_summary.summary(session, lines, code, plan, typed, wrong)
    payment = checkout_view.payment(session, plan, typed, wrong)
    main = checkout_view.layout(summary, payment)
    return shown("Checkout – SANDBOX", main, status=status, leads_to=session["success_url"])


def _over(session: Json) -> Response:
    view = checkout_view.over(session, success_url(session))
    return shown("Checkout – SANDBOX", view, status=200 if session["status"] == "complete" else 410)
