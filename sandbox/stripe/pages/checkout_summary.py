"""What is bought, on the checkout page: lines, promotion code, totals, and what comes later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.html import Child, Markup, el
from sandbox.store import Json
from sandbox.stripe.amounts import display
from sandbox.stripe.pages.fields import error


@dataclass(frozen=True, slots=True)
class Plan:
    """What a subscription promises, in words: ``cycle`` is "per month", ``next_on`` a day."""

    cycle: str
    trial_days: int
    renewal_minor: int
    next_on: str


def summary(
    session: Json,
    lines: list[Json],
    code: Json | None,
    plan: Plan | None,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
) -> Markup:
    """Lines, promotion code, totals; in a mere setup only what it is for."""
    if session["mode"] == "setup":
        contents: list[Child] = [
            el("h1", "Save a card", class_="total"),
            el("p", "It can be charged later. Nothing is paid now.", class_="soft"),
        ]
    else:
        contents = [
            _headline(session, lines, plan),
            el("ul", [_line(session, line, plan) for line in lines], class_="lines"),
            _quantity(lines, errors),
            _promotion(session, code, typed, errors),
            _totals(session, plan),
            _renewal(session, plan),
        ]
    return el("section", back(session), contents, class_="summary", aria_label="Order")


def _headline(session: Json, lines: list[Json], plan: Plan | None) -> Child:
    total = el("span", _money(session, session["amount_total"]), id="total")
    if plan is None:
        return el("h1", "Pay ", total, class_="total")
    name = " and ".join(line["description"] for line in lines)
    price = sum(line["price"]["unit_amount"] * line["quantity"] for line in lines)
    costs: list[Child] = [el("strong", _money(session, price)), f" {plan.cycle}"]
    if plan.trial_days:
        costs = [el("strong", f"{plan.trial_days} days free"), ", then ", costs]
    verb = "Try" if plan.trial_days else "Subscribe to"
    return [
        el("h1", f"{verb} {name}", id="plan", class_="total"),
        el("p", costs, id="plan-price", class_="price"),
    ]


def _renewal(session: Json, plan: Plan | None) -> Child:
    """From when on it costs how much."""
    if plan is None:
        return None
    first = "First payment" if plan.trial_days else "Renews"
    amount = el("span", _money(session, plan.renewal_minor), id="renewal-price")
    return el(
        "p",
        f"{first} on {plan.next_on}: ",
        amount,
        f" {plan.cycle}.",
        id="renewal",
        class_="soft",
    )


def back(session: Json) -> Child:
    """The way back to the shop, if it has one."""
    if session["cancel_url"] is None:
        return None
    return el("a", "← Back", href=session["cancel_url"], id="back", class_="back")


def _line(session: Json, line: Json, plan: Plan | None) -> Markup:
    count = f" × {line['quantity']}" if line["quantity"] != 1 else ""
    count += f", {plan.trial_days} days free" if plan and plan.trial_days else ""
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
        error(name, errors),
        method="post",
    )


def _button(label: str, action: str) -> Markup:
    return el("button", label, name="action", value=action, id=f"{action}-button", class_="quiet")


def _totals(session: Json, plan: Plan | None) -> Markup:
    details = session["total_details"]
    rows = [("Subtotal", session["amount_subtotal"], "subtotal")]
    if details["amount_discount"]:
        rows.append(("Discount", -details["amount_discount"], "discount"))
    if session["automatic_tax"]["enabled"] or details["amount_tax"]:
        rows.append(("Tax (sandbox rate)", details["amount_tax"], "tax"))
    due = "Total due today" if plan else "Total due"
    rows.append((due, session["amount_total"], "total-due"))
    shown = [
        [el("dt", label), el("dd", _money(session, amount), id=id)] for label, amount, id in rows
    ]
    return el("dl", shown, class_="totals")


def _money(session: Json, amount: int) -> str:
    return display(amount, session["currency"])
