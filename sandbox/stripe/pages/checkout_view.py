"""How the checkout page asks for payment, and what it says when there is nothing to pay."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.html import Child, Markup, el
from sandbox.store import Json
from sandbox.stripe import sessions
from sandbox.stripe.amounts import display
from sandbox.stripe.pages.checkout_form import known_email
from sandbox.stripe.pages.checkout_summary import Plan, back
from sandbox.stripe.pages.fields import card_fields, field

HINT = "Test cards only. Nothing is charged."


def layout(summary: Child, payment: Child) -> Markup:
    """What is bought on one side, how it is paid on the other."""
    return el("main", summary, payment, class_="checkout")


def payment(
    session: Json, plan: Plan | None, typed: Mapping[str, str], errors: Mapping[str, str]
) -> Markup:
    """The form that pays, or that saves a card for later."""
    email = known_email(session)
    asks = session["amount_total"] or sessions.wants_card(session)
    return el(
        "form",
        el("h2", "Contact"),
        el("p", email, id="known-email") if email else field("email", "E-mail", typed, errors),
        [_methods(session, typed), _card_fields(session, typed, errors)] if asks else None,
        el("button", _label(session, plan), name="action", value="pay", id="pay", class_="main"),
        _promise(session, plan),
        el("p", HINT, class_="hint"),
        method="post",
        class_="payment",
        novalidate=True,
    )


def _label(session: Json, plan: Plan | None) -> str:
    if session["mode"] == "setup":
        return "Save card"
    if plan is not None:
        return "Start trial" if plan.trial_days else "Subscribe"
    if session["amount_total"] == 0:
        return "Complete order"
    return f"Pay {display(session['amount_total'], session['currency'])}"


def _promise(session: Json, plan: Plan | None) -> Child:
    """What the button lets the shop do later."""
    if plan is None:
        return None
    amount = display(plan.renewal_minor, session["currency"])
    text = f"Then {amount} {plan.cycle} until you cancel. Your card is saved for that."
    return el("p", text, class_="hint", id="renewal-promise")


def _methods(session: Json, typed: Mapping[str, str]) -> Markup:
    labels = {"card": ("card", "Card"), "us_bank_account": ("bank_debit", "Bank debit")}
    offered = [labels[type] for type in session["payment_method_types"]]
    chosen = typed.get("method", offered[0][0])
    choices = [
        el(
            "label",
            el(
                "input",
                type="radio",
                name="method",
                value=value,
                id=f"method-{value.replace('_', '-')}",
                checked=value == chosen,
            ),
            el("span", label, _settles_later(value)),
            class_="choice",
        )
        for value, label in offered
    ]
    return el("fieldset", el("legend", "Payment method"), choices, class_="methods")


def _settles_later(value: str) -> Child:
    return el("small", " settles later") if value == "bank_debit" else None


def _card_fields(session: Json, typed: Mapping[str, str], errors: Mapping[str, str]) -> Child:
    return card_fields(typed, errors) if "card" in session["payment_method_types"] else None


def question(session: Json) -> str:
    """What the bank asks of who pays or saves a card."""
    if session["amount_total"]:
        amount = display(session["amount_total"], session["currency"])
        return f"The sandbox's bank asks: is it you who pays {amount}?"
    return "The sandbox's bank asks: is it you who saves this card for later payments?"


def challenge(asked: str) -> Markup:
    """The bank's page."""

    def button(label: str, outcome: str, kind: str) -> Markup:
        return el("button", label, name="outcome", value=outcome, id=outcome, class_=kind)

    return el(
        "main",
        el("h1", "3-D Secure"),
        el("p", asked),
        el(
            "form",
            button("Authorise", "authorised", "main"),
            button("Fail", "failed", "quiet"),
            method="post",
        ),
        class_="narrow",
    )


def over(session: Json, success: str) -> Markup:
    """A session that cannot be paid any more."""
    if session["status"] == "complete":
        return el(
            "main",
            el("h1", "Already done"),
            el("p", "This checkout is complete."),
            el("a", "Back to the shop", href=success),
            class_="narrow",
        )
    return el(
        "main",
        el("h1", "Expired"),
        el("p", "This checkout has expired. Start again in the shop."),
        back(session),
        class_="narrow",
    )
