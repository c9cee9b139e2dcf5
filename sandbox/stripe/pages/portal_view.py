"""How the customer portal looks."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.html import Child, Markup, el
from sandbox.store import Json
from sandbox.stripe.pages.fields import card_fields
from sandbox.stripe.pages.portal_data import Data, Plan, Row, SavedCard
from sandbox.stripe.params import ADDRESS

FIELDS = {"name": "Name", "email": "E-mail", "phone": "Phone"}
LABELS = {
    "line1": "Address",
    "line2": "Address, second line",
    "postal_code": "Postal code",
    "city": "City",
    "state": "State",
    "country": "Country (two letters)",
}


def home(data: Data, error: str | None) -> Markup:
    """The whole portal; a section that the configuration does not offer is left out."""
    features = data.features
    return el(
        "main",
        _back(data.return_url),
        el("h1", data.headline),
        el("p", error, id="portal-error", class_="error", role="alert") if error else None,
        _plans(data, can_cancel=features["subscription_cancel"]["enabled"]),
        _cards(data) if features["payment_method_update"]["enabled"] else None,
        _details(data.customer, features["customer_update"]),
        _invoices(data.invoices) if features["invoice_history"]["enabled"] else None,
        class_="home portal",
    )


def _back(return_url: str | None) -> Child:
    if return_url is None:
        return None
    return el("a", "← Return", href=return_url, id="return", class_="back")


def _act(action: str, label: str, id: str, *, kind: str) -> Markup:
    """A button of the main page that does ``action`` to the object ``id``."""
    return el(
        "form",
        el("input", type="hidden", name="id", value=id),
        el(
            "button",
            label,
            name="action",
            value=action,
            id=f"{kind}-{id}",
            class_=f"quiet {kind}",
        ),
        method="post",
        class_="inline",
    )


def _plans(data: Data, *, can_cancel: bool) -> Markup:
    shown = [_plan(data, plan, can_cancel=can_cancel) for plan in data.plans]
    nothing = el("p", "You have no plan.", id="no-plan", class_="hint")
    return el("section", el("h2", "Current plan"), shown or nothing)


def _plan(data: Data, plan: Plan, *, can_cancel: bool) -> Markup:
    button: Child = None
    if can_cancel and plan.ends:
        button = _act("resume", "Don't cancel", plan.id, kind="resume-plan")
    elif can_cancel:
        href = f"{data.base}/cancel/{plan.id}"
        button = el(
            "a", "Cancel plan", href=href, id=f"cancel-plan-{plan.id}", class_="button cancel-plan"
        )
    return el(
        "article",
        el("p", el("strong", plan.name, class_="plan-name"), " ", _badge(plan.status)),
        el("p", plan.price, class_="price plan-price"),
        el("p", plan.next, class_="plan-next"),
        button,
        id=f"plan-{plan.id}",
        class_="plan",
    )


def _badge(text: str) -> Markup:
    return el("span", text, class_="badge")


def _cards(data: Data) -> Markup:
    rows = [_card(card) for card in data.cards]
    empty = el("p", "No card is saved.", class_="hint")
    add = el(
        "a",
        "Add a card",
        href=f"{data.base}/payment-methods",
        id="add-card",
        class_="button",
    )
    listed = el("ul", rows, class_="lines") if rows else empty
    return el("section", el("h2", "Payment methods"), listed, add)


def _card(card: SavedCard) -> Markup:
    buttons: list[Child] = []
    if not card.is_default:
        buttons.append(_act("default", "Make default", card.id, kind="make-default"))
    if card.is_removable:
        buttons.append(_act("remove", "Remove", card.id, kind="remove-card"))
    name = el("span", card.name, " ", _badge("Default") if card.is_default else None)
    expiry = el("small", f"expires {card.expiry}", class_="soft")
    return el(
        "li",
        el("div", name, el("br"), expiry),
        el("div", buttons, class_="acts"),
        id=f"card-{card.id}",
        class_="saved-card",
    )


def _details(customer: Json, offered: Json) -> Child:
    """The form for name, e-mail, phone and address, as far as they may be changed."""
    allowed = offered["allowed_updates"]
    boxes = [_box(name, label, customer[name]) for name, label in FIELDS.items() if name in allowed]
    if "address" in allowed:
        address = customer["address"] or dict.fromkeys(ADDRESS)
        boxes += [_box(name, label, address[name]) for name, label in LABELS.items()]
    if not offered["enabled"] or not boxes:
        return None
    button = el("button", "Save", name="action", value="details", id="save-details", class_="quiet")
    form = el("form", el("div", boxes, class_="grid"), button, method="post")
    return el("section", el("h2", "Billing information"), form)


def _box(name: str, label: str, value: str | None) -> Markup:
    dashed = f"details-{name.replace('_', '-')}"
    box = el("input", id=dashed, name=name, value=value or "", autocomplete="off")
    return el("div", el("label", label, for_=dashed), box)


def _invoices(rows: list[Row]) -> Markup:
    head = el("thead", el("tr", [el("th", one) for one in ("Date", "Amount", "Status", "", "For")]))
    body = el("tbody", [_invoice(row) for row in rows])
    table = el("div", el("table", head, body, id="invoices"), class_="scroll")
    nothing = el("p", "There are no invoices yet.", class_="hint")
    return el("section", el("h2", "Invoice history"), table if rows else nothing)


def _invoice(row: Row) -> Markup:
    pay = el("a", "Pay", href=row.href, class_="pay-invoice") if row.is_open else None
    cells: list[Child] = [
        el("a", row.date, href=row.href, title=row.number),
        row.amount,
        _badge(row.status),
        pay,
        row.about,
    ]
    return el("tr", [el("td", cell) for cell in cells])


def ask_cancel(plan: Plan, offered: Json, back: str) -> Markup:
    """Whether a plan shall really end."""
    at_once = offered["mode"] == "immediately"
    when = "It ends at once." if at_once else f"You keep it until {plan.until}."
    reason = offered["cancellation_reason"]
    choices = [
        el("option", one.replace("_", " ").capitalize(), value=one) for one in reason["options"]
    ]
    why = None
    if reason["enabled"] and choices:
        why = el(
            "p",
            el("label", "Why?", for_="feedback"),
            el("select", el("option", "–", value=""), choices, id="feedback", name="feedback"),
        )
    return el(
        "main",
        el("h1", "Cancel your plan"),
        el("p", el("strong", plan.name), f", {plan.price}. ", when),
        el(
            "form",
            why,
            el("button", "Cancel plan", id="confirm-cancel", class_="main"),
            method="post",
        ),
        el("p", el("a", "Keep it", href=back, id="keep")),
        class_="narrow",
    )


def ask_card(typed: Mapping[str, str], errors: Mapping[str, str], back: str) -> Markup:
    """The form for a new card."""
    return el(
        "main",
        el("a", "← Back", href=back, id="back", class_="back"),
        el("h1", "Add a card"),
        el("p", "Plans and invoices are paid with it from now on.", class_="soft"),
        el(
            "form",
            card_fields(typed, errors),
            el("button", "Add", id="save-card", class_="main"),
            el("p", "Test cards only. Nothing is charged.", class_="hint"),
            method="post",
            novalidate=True,
        ),
        class_="narrow",
    )


def confirmed(message: str | None, return_url: str | None) -> Markup:
    """The end of a flow."""
    return el(
        "main",
        el("h1", "Done"),
        el("p", message or "Your change is saved.", id="confirmed"),
        _back(return_url),
        class_="narrow",
    )


def ended(return_url: str | None) -> Markup:
    """A session whose time is over."""
    return el(
        "main",
        el("h1", "This link has expired"),
        el("p", "Open the portal again from the shop."),
        _back(return_url),
        class_="narrow",
    )
