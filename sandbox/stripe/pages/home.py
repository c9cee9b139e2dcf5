"""The control page: time, plans, what waits for an answer, webhooks, faults, settings, books."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.html import Child, Markup, el
from sandbox.store import Json
from sandbox.stripe import books, disputes, faults, outbox
from sandbox.stripe.amounts import display
from sandbox.stripe.context import Context
from sandbox.stripe.pages import home_billing
from sandbox.stripe.pages.common import Base, shown
from sandbox.stripe.pages.parts import S, button, table

ROWS = 15
BOOKED = ("gross", "refunded", "fees", "withdrawn", "reinstated", "dispute_fees", "net")


class Pages(Base):
    """The page at ``/``."""

    def routes(self) -> list[Route]:
        """Its address."""
        return [Route("/", self.show, methods=["GET"])]

    def show(self, request: Request) -> Response:
        """Everything at a glance."""
        with self.context() as context:
            body = el(
                "main",
                el("h1", "Sandbox"),
                el("p", "A stand-in for Stripe. What it does is described in sandbox/README.md."),
                home_billing.clock_section(context),
                _waiting(context),
                home_billing.subscriptions_section(context),
                home_billing.invoices_section(context),
                _payments(context),
                _sessions(context),
                _deliveries(context),
                _faults(context),
                _settings(context),
                _books(context),
                class_="home",
            )
        return shown("SANDBOX – control", body)


def _waiting(context: Context) -> Markup:
    """Bank debits and refunds that a person lets succeed or fail; disputes a bank decides."""
    status = "json_extract(data, '$.status') = ?"
    rows: list[list[Child]] = []
    for intent in context.tx.find("payment_intent", status, ("processing",)):
        of_intent = "json_extract(data, '$.payment_intent') = ?"
        rows += [
            _ask("Bank debit", intent, f"sessions/{session['id']}/settle")
            for session in context.tx.find("checkout.session", of_intent, (intent["id"],))
        ]
    for state in ("pending", "requires_action"):
        rows += [
            _ask("Refund", refund, f"refunds/{refund['id']}/settle")
            for refund in context.tx.find("refund", status, (state,))
        ]
    for state in disputes.CHARGEBACK + disputes.INQUIRY:
        rows += [_decide(one) for one in context.tx.find("dispute", status, (state,))]
    listed = table(["What", "Amount", "", "Id"], rows, "Nothing waits for an answer.")
    return el("section", el("h2", "Waiting for an answer"), listed)


def _ask(what: str, obj: Json, path: str) -> list[Child]:
    buttons = [
        button(path, "Succeed", outcome="succeeded"),
        button(path, "Fail", outcome="failed"),
    ]
    return [what, display(obj["amount"], obj["currency"]), buttons, el("code", obj["id"])]


def _decide(dispute: Json) -> list[Child]:
    chargeback = dispute["status"] in disputes.CHARGEBACK
    labels = {"won": "Won", "lost": "Lost"}
    if not chargeback:
        labels = {"warning_closed": "Close", "escalated": "Escalate"}
    buttons = [
        button(f"disputes/{dispute['id']}/settle", label, outcome=outcome)
        for outcome, label in labels.items()
    ]
    what = f"{'Dispute' if chargeback else 'Inquiry'}: {dispute['reason']}, {dispute['status']}"
    return [
        what,
        display(dispute["amount"], dispute["currency"]),
        buttons,
        el("code", dispute["id"]),
    ]


def _payments(context: Context) -> Markup:
    """What was paid by card last, with buttons to dispute it."""
    rows: list[list[Child]] = []
    for charge in context.tx.latest("charge", ROWS):
        if charge["status"] == "succeeded" and charge["payment_method_details"]["type"] == "card":
            path = f"charges/{charge['id']}/dispute"
            buttons = [button(path, "Dispute"), button(path, "Inquire", inquiry="true")]
            if disputes.is_open(context, charge["id"]):
                buttons = []
            amount = display(charge["amount"], charge["currency"])
            state = f"{display(charge['amount_refunded'], charge['currency'])} refunded"
            state += ", disputed" if charge["disputed"] else ""
            rows.append([el("code", charge["id"]), amount, state, buttons])
    listed = table(["Charge", "Amount", "Status", ""], rows, "None yet.")
    return el("section", el("h2", "Latest card payments"), listed)


def _sessions(context: Context) -> Markup:
    rows: list[list[Child]] = [
        [
            el("a", session["id"][:20] + "…", href=f"/c/pay/{session['id']}"),
            "–"
            if session["amount_total"] is None
            else display(session["amount_total"], session["currency"]),
            session["mode"],
            f"{session['status']}, {session['payment_status']}",
        ]
        for session in context.tx.latest("checkout.session", ROWS)
    ]
    listed = table(["Session", "Total", "Mode", "Status"], rows, "None yet.")
    return el("section", el("h2", "Latest checkout sessions"), listed)


def _deliveries(context: Context) -> Markup:
    counted = outbox.counts(context.tx)
    told = ", ".join(f"{count} {status}" for status, count in counted.items())
    rows: list[list[Child]] = [
        [
            el("code", delivery["type"]),
            delivery["status"],
            delivery["attempts"],
            delivery["error"] or delivery["response_status"],
            button(f"deliveries/{delivery['id']}/deliver", "Deliver now"),
        ]
        for delivery in outbox.latest(context.tx, ROWS)
    ]
    mode = context.setting("deliveries")
    switch = (
        button("deliveries/hold", "Hold new ones")
        if mode == "auto"
        else [
            button("deliveries/release", "Release", order="created"),
            button("deliveries/release", "Release reversed", order="reversed"),
            button("deliveries/release", "Release shuffled", order="shuffled"),
        ]
    )
    return el(
        "section",
        el("h2", "Webhooks"),
        el("p", f"Mode: {mode}. {told}"),
        switch,
        button("deliveries/retry", "Retry all now"),
        table(["Event", "Status", "Attempts", "Answer", ""], rows, "None yet."),
    )


def _select(name: str, label: str, options: tuple[str, ...], value: str = "") -> Markup:
    choices = [el("option", one, value=one, selected=one == value) for one in options]
    return el("label", label, el("select", choices, name=name))


def _input(name: str, label: str, value: Child = "", hint: str | None = None) -> Markup:
    return el("label", label, el("input", name=name, value=str(value), placeholder=hint))


def _faults(context: Context) -> Markup:
    rows: list[list[Child]] = []
    for fault in faults.listing(context.tx):
        keys = ("method", "path", "when", "answer") if fault["kind"] == "api" else ("type",)
        rows.append([fault["kind"], fault["remaining"], " ".join(str(fault[key]) for key in keys)])
    webhook = el(
        "form",
        _select("kind", "Webhooks", faults.WEBHOOK_KINDS),
        _input("type", "of type", "*"),
        _input("count", "next", 1),
        _input("delay_seconds", "delay (s)", "", "5"),
        el("button", "Add", class_="quiet"),
        method="post",
        action=f"{S}/faults",
        class_="row",
    )
    api = el(
        "form",
        el("input", type="hidden", name="kind", value="api"),
        _select("method", "API calls", ("*", "GET", "POST", "DELETE")),
        _input("path", "path", "/v1/refunds*"),
        _select("when", "fail", ("before", "after")),
        _select("answer", "with", ("500", "429", "503", "cut", "ok")),
        _input("count", "next", 1),
        el("button", "Add", class_="quiet"),
        method="post",
        action=f"{S}/faults",
        class_="row",
    )
    clear = button("faults/clear", "Clear all")
    listed = table(["Kind", "Left", "Which"], rows, "None active.")
    return el("section", el("h2", "Faults"), listed, webhook, api, clear)


def _settings(context: Context) -> Markup:
    now = context.settings()
    return el(
        "section",
        el("h2", "Settings"),
        el(
            "form",
            _input("tax_bps", "Tax (1/100 %)", now["tax_bps"]),
            _input("fee_bps", "Fee (1/100 %)", now["fee_bps"]),
            _input("fee_fixed_minor", "+ fixed", now["fee_fixed_minor"]),
            _input("dispute_fee_minor", "Dispute fee", now["dispute_fee_minor"]),
            _input("balance_delay_seconds", "Balance delay (s)", str(now["balance_delay_seconds"])),
            _select(
                "refund_outcome",
                "New refunds",
                ("succeeded", "pending", "requires_action", "failed"),
                now["refund_outcome"],
            ),
            _select("api", "API", ("up", "down", "cut"), now["api"]),
            _input("invoice_finalize_seconds", "Drafts wait (s)", now["invoice_finalize_seconds"]),
            _input("retry_days", "Retries after days", ",".join(map(str, now["retry_days"]))),
            _select(
                "after_retries",
                "Then a plan is",
                ("canceled", "unpaid", "past_due"),
                now["after_retries"],
            ),
            el("button", "Save", class_="quiet"),
            method="post",
            action=f"{S}/settings",
            class_="row",
        ),
    )


def _books(context: Context) -> Markup:
    computed = books.compute(context.tx)
    rows: list[list[Child]] = [
        [
            currency.upper(),
            *(display(sums[name], currency) for name in BOOKED),
        ]
        for currency, sums in computed["currencies"].items()
    ]
    verdict = "They agree with the balance transactions." if computed["agrees"] else "THEY DIFFER!"
    heads = [name.replace("_", " ").capitalize() for name in BOOKED]
    listed = table(["", *heads], rows, "Empty.")
    return el("section", el("h2", "Books"), listed, el("p", verdict, class_="hint"))
