"""Fields of a form: each is right or has a sentence beside it."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.html import Child, Markup, el


def field(
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
    box = el(
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
    return el("div", el("label", label, for_=dashed), box, error(name, errors), class_="field")


def error(name: str, errors: Mapping[str, str]) -> Child:
    """What is wrong with the field, if anything."""
    if name not in errors:
        return None
    dashed = name.replace("_", "-")
    return el("p", errors[name], id=f"{dashed}-error", class_="error", role="alert")


def card_fields(typed: Mapping[str, str], errors: Mapping[str, str]) -> Markup:
    """Number, expiry, CVC and name; the number and the CVC are never sent back."""
    return el(
        "div",
        field("card_number", "Card number", {}, errors, inputmode="numeric", hint="4242 4242 …"),
        el(
            "div",
            field("expiry", "Expiry", typed, errors, hint="MM/YY"),
            field("cvc", "CVC", {}, errors, inputmode="numeric", hint="123"),
            class_="pair",
        ),
        field("name", "Name on card (optional)", typed, errors),
        class_="card-fields",
    )
