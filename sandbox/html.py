"""HTML that cannot be broken by what is put into it: every text and attribute is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Union

VOID = {"br", "hr", "input", "link", "meta"}


class Markup(str):
    """Text that already is HTML."""

    __slots__ = ()


Child = Union[str, int, None, "Iterable[Child]"]


def text(child: Child) -> Markup:
    """``child`` as HTML: markup stays, everything else is escaped, lists are joined."""
    if isinstance(child, Markup):
        return child
    if child is None:
        return Markup("")
    if isinstance(child, (str, int)):
        return Markup(escape(str(child)))
    return Markup("".join(text(one) for one in child))


def el(tag: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """An element. ``class_`` and the like lose their underscore; inner ones become dashes."""
    rendered = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        rendered.append(f" {label}" if value is True else f' {label}="{escape(str(value))}"')
    opening = f"<{tag}{''.join(rendered)}>"
    return Markup(opening if tag in VOID else f"{opening}{text(children)}</{tag}>")


def page(title: str, *body: Child) -> str:
    """A whole document with the sandbox's style and its banner."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("link", rel="stylesheet", href="/_sandbox/style.css"),
    )
    banner = el("p", el("strong", "SANDBOX"), " – no real money moves here", class_="banner")
    return "<!doctype html>" + el("html", head, el("body", banner, *body), lang="en")
