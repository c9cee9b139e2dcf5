"""Parts that the control page is made of."""

from __future__ import annotations

from sandbox.html import Child, Markup, el
from sandbox.stripe import control

S = control.S


def button(path: str, label: str, /, *, id: str | None = None, **fields: str) -> Markup:
    """A button that posts ``fields`` to the control API."""
    hidden = [el("input", type="hidden", name=name, value=value) for name, value in fields.items()]
    return el(
        "form",
        hidden,
        el("button", label, id=id, class_="quiet"),
        method="post",
        action=f"{S}/{path}",
        class_="inline",
    )


def table(heads: list[str], rows: list[list[Child]], empty: str) -> Markup:
    """A table, or the sentence ``empty`` when there are no rows."""
    if not rows:
        return el("p", empty, class_="hint")
    head = el("thead", el("tr", [el("th", text) for text in heads]))
    body = el("tbody", [el("tr", [el("td", cell) for cell in row]) for row in rows])
    return el("div", el("table", head, body), class_="scroll")
