"""How the checkout page looks."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.html import Child, Markup, el
from sandbox.store import Json
from sandbox.stripe.amounts import display
from sandbox.stripe.pages.checkout_form import known_email


def layout(session: Json, summary: Child, payment: Child) -> Markup:
    """What is bought on one side, how it is paid on the other."""
    return el("main", summary, payment, class_="checkout")


def summary(
    session: Json,
    lines: list[Json],
    code: Json | None,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
) -> Markup:
    """Lines, promotion code, totals."""
    total = _money(session, session["amount_total"])
    return el(
        "section",
        _back(session),
        el("h1", "Pay ", el("span", total, id="total"), class_="total"),
        el("ul", [_line(session, line) for line in lines], class_="lines"),
        _quantity(lines, errors),
        _promotion(session, code, typed, errors),
        _totals(session),
        class_="summary",
        aria_label="Order",
    )


def _back(session: Json) -> Child:
    if session["cancel_url"] is None:
        return None
    return el("a", "← Back", href=session["cancel_url"], id="back", class_="back")


def _line(session: Json, line: Json) -> Markup:
    count = f" × {line['quantity']}" if line["quantity"] != 1 else ""
    return el(
        "li",
        el("span", line["description"], count),
        el("span", _money(session, line["amount_subtotal"]), class_="amount"),
    )


def _quantity(lines: list[Json], errors: Mapping[str, str]) -> Child:
    bounds = lines[0]["adjustable_quantity"]
    if bounds is None:
        return None
    field = el(
        "input",
        type="number",
        id="quantity",
        name="quantity",
        value=lines[0]["quantity"],
        min=max(1, bounds["minimum"]),
        max=bounds["maximum"],
    )
    return _small_form("quantity", "Quantity", field, "Update", errors)


def _promotion(
    session: Json, code: Json | None, typed: Mapping[str, str], errors: Mapping[str, str]
) -> Child:
    if not session["allow_promotion_codes"]:
        return None
    if code is not None:
        label = el("span", "Promotion code ", el("strong", code["code"]))
        button = el("button", "Remove", name="action", value="remove", class_="quiet")
        return el("form", label, button, method="post", class_="row")
    field = el(
        "input",
        id="promotion-code",
        name="promotion_code",
        value=typed.get("promotion_code"),
        autocomplete="off",
    )
    return _small_form("promotion_code", "Promotion code", field, "Apply", errors)


def _small_form(
    name: str, label: str, field: Markup, button: str, errors: Mapping[str, str]
) -> Markup:
    dashed = name.replace("_", "-")
    action = "quantity" if name == "quantity" else "apply"
    return el(
        "form",
        el("label", label, for_=dashed),
        el("div", field, _button(button, action), class_="row"),
        _error(name, errors),
        method="post",
    )


def _button(label: str, action: str) -> Markup:
    return el("button", label, name="action", value=action, id=f"{action}-button", class_="quiet")


def _totals(session: Json) -> Markup:
    details = session["total_details"]
    rows = [("Subtotal", session["amount_subtotal"], "subtotal")]
    if details["amount_discount"]:
        rows.append(("Discount", -details["amount_discount"], "discount"))
    if session["automatic_tax"]["enabled"] or details["amount_tax"]:
        rows.append(("Tax (sandbox rate)", details["amount_tax"], "tax"))
    rows.append(("Total due", session["amount_total"], "total-due"))
    shown = [
        [el("dt", label), el("dd", _money(session, amount), id=id)] for label, amount, id in rows
    ]
    return el("dl", shown, class_="totals")


def payment(session: Json, typed: Mapping[str, str], errors: Mapping[str, str]) -> Markup:
    """The form that pays."""
    email = known_email(session)
    free = session["amount_total"] == 0
    total = _money(session, session["amount_total"])
    label = "Complete order" if free else f"Pay {total}"
    return el(
        "form",
        el("h2", "Contact"),
        el("p", email, id="known-email") if email else _field("email", "E-mail", typed, errors),
        [] if free else [_methods(session, typed), _card_fields(session, typed, errors)],
        el("button", label, name="action", value="pay", id="pay", class_="main"),
        el("p", "Test cards only. Nothing is charged.", class_="hint"),
        method="post",
        class_="payment",
        novalidate=True,
    )


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
    if "card" not in session["payment_method_types"]:
        return None
    return el(
        "div",
        _field("card_number", "Card number", {}, errors, inputmode="numeric", hint="4242 4242 …"),
        el(
            "div",
            _field("expiry", "Expiry", typed, errors, hint="MM/YY"),
            _field("cvc", "CVC", {}, errors, inputmode="numeric", hint="123"),
            class_="pair",
        ),
        _field("name", "Name on card (optional)", typed, errors),
        class_="card-fields",
    )


def _field(
    name: str,
    label: str,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    inputmode: str | None = None,
    hint: str | None = None,
) -> Markup:
    """A labelled input; what is wrong with it stands under it. Never filled with a card number."""
    dashed = name.replace("_", "-")
    field = el(
        "input",
        id=dashed,
        name=name,
        type="email" if name == "email" else "text",
        value=typed.get(name),
        inputmode=inputmode,
        placeholder=hint,
        autocomplete="off",
        aria_invalid="true" if name in errors else None,
        aria_describedby=f"{dashed}-error" if name in errors else None,
    )
    return el("div", el("label", label, for_=dashed), field, _error(name, errors), class_="field")


def _error(name: str, errors: Mapping[str, str]) -> Child:
    if name not in errors:
        return None
    dashed = name.replace("_", "-")
    return el("p", errors[name], id=f"{dashed}-error", class_="error", role="alert")


def challenge(session: Json) -> Markup:
    """What the bank would ask."""
    amount = _money(session, session["amount_total"])

    def button(label: str, outcome: str, kind: str) -> Markup:
        return el("button", label, name="outcome", value=outcome, id=outcome, class_=kind)

    return el(
        "main",
        el("h1", "3-D Secure"),
        el("p", f"The sandbox's bank asks: is it you who pays {amount}?"),
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
        _back(session),
        class_="narrow",
    )


def _money(session: Json, amount: int) -> str:
    return display(amount, session["currency"])
