"""The control page: what waits for an answer, webhooks, faults, settings, books."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.html import Child, Markup, el
from sandbox.store import Json
from sandbox.stripe import books, control, disputes, faults, outbox
from sandbox.stripe.amounts import display
from sandbox.stripe.context import Context
from sandbox.stripe.pages.common import Base, shown

ROWS = 15
BOOKED = ("gross", "refunded", "fees", "withdrawn", "reinstated", "dispute_fees", "net")
S = control.S


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
                _waiting(context),
                _payments(context),
                _sessions(context),
                _deliveries(context),
                _faults(context),
                _settings(context),
                _books(context),
                class_="home",
            )
        return shown("SANDBOX – control", body)


def _button(path: str, label: str, **fields: str) -> Markup:
    hidden = [el("input", type="hidden", name=name, value=value) for name, value in fields.items()]
    return el(
        "form",
        hidden,
        el("button", label, class_="quiet"),
        method="post",
        action=f"{S}/{path}",
        class_="inline",
    )


def _table(heads: list[str], rows: list[list[Child]], empty: str) -> Markup:
    if not rows:
        return el("p", empty, class_="hint")
    head = el("thead", el("tr", [el("th", text) for text in heads]))
    body = el("tbody", [el("tr", [el("td", cell) for cell in row]) for row in rows])
    return el("div", el("table", head, body), class_="scroll")


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
    table = _table(["What", "Amount", "", "Id"], rows, "Nothing waits for an answer.")
    return el("section", el("h2", "Waiting for an answer"), table)


def _ask(what: str, obj: Json, path: str) -> list[Child]:
    buttons = [
        _button(path, "Succeed", outcome="succeeded"),
        _button(path, "Fail", outcome="failed"),
    ]
    return [what, display(obj["amount"], obj["currency"]), buttons, el("code", obj["id"])]


def _decide(dispute: Json) -> list[Child]:
    chargeback = dispute["status"] in disputes.CHARGEBACK
    labels = {"won": "Won", "lost": "Lost"}
    if not chargeback:
        labels = {"warning_closed": "Close", "escalated": "Escalate"}
    buttons = [
        _button(f"disputes/{dispute['id']}/settle", label, outcome=outcome)
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
            buttons = [_button(path, "Dispute"), _button(path, "Inquire", inquiry="true")]
            if disputes.is_open(context, charge["id"]):
                buttons = []
            amount = display(charge["amount"], charge["currency"])
            state = f"{display(charge['amount_refunded'], charge['currency'])} refunded"
            state += ", disputed" if charge["disputed"] else ""
            rows.append([el("code", charge["id"]), amount, state, buttons])
    table = _table(["Charge", "Amount", "Status", ""], rows, "None yet.")
    return el("section", el("h2", "Latest card payments"), table)


def _sessions(context: Context) -> Markup:
    rows: list[list[Child]] = [
        [
            el("a", session["id"][:20] + "…", href=f"/c/pay/{session['id']}"),
            display(session["amount_total"], session["currency"]),
            f"{session['status']}, {session['payment_status']}",
        ]
        for session in context.tx.latest("checkout.session", ROWS)
    ]
    table = _table(["Session", "Total", "Status"], rows, "None yet.")
    return el("section", el("h2", "Latest checkout sessions"), table)


def _deliveries(context: Context) -> Markup:
    counted = outbox.counts(context.tx)
    told = ", ".join(f"{count} {status}" for status, count in counted.items())
    rows: list[list[Child]] = [
        [
            el("code", delivery["type"]),
            delivery["status"],
            delivery["attempts"],
            delivery["error"] or delivery["response_status"],
            _button(f"deliveries/{delivery['id']}/deliver", "Deliver now"),
        ]
        for delivery in outbox.latest(context.tx, ROWS)
    ]
    mode = context.setting("deliveries")
    switch = (
        _button("deliveries/hold", "Hold new ones")
        if mode == "auto"
        else [
            _button("deliveries/release", "Release", order="created"),
            _button("deliveries/release", "Release reversed", order="reversed"),
            _button("deliveries/release", "Release shuffled", order="shuffled"),
        ]
    )
    return el(
        "section",
        el("h2", "Webhooks"),
        el("p", f"Mode: {mode}. {told}"),
        switch,
        _button("deliveries/retry", "Retry all now"),
        _table(["Event", "Status", "Attempts", "Answer", ""], rows, "None yet."),
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
    clear = _button("faults/clear", "Clear all")
    table = _table(["Kind", "Left", "Which"], rows, "None active.")
    return el("section", el("h2", "Faults"), table, webhook, api, clear)


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
    table = _table(["", *heads], rows, "Empty.")
    return el("section", el("h2", "Books"), table, el("p", verdict, class_="hint"))
