"""What a browser knows of a page's forms: where they go, and what can be typed into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

TYPED = frozenset(
    {"text", "email", "number", "password", "search", "tel", "url", "date", "textarea"}
)
CHOSEN = frozenset({"select", "radio", "checkbox"})


@dataclass
class Control:
    """One name of a form: what stands in it, and what it takes."""

    name: str
    kind: str
    values: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    is_required: bool = False
    is_decimal: bool = False
    max_length: int | None = None
    described_by: str = ""


@dataclass
class Form:
    """Where a form is sent to, and its controls by name."""

    action: str
    method: str
    controls: dict[str, Control] = field(default_factory=dict)
    # The first button with a name, which Enter presses.
    pressed: tuple[str, str] | None = None

    def sent(self) -> dict[str, list[str]]:
        """What a browser would send if somebody pressed Enter at once."""
        data = {name: list(one.values) for name, one in self.controls.items() if one.values}
        return data | ({self.pressed[0]: [self.pressed[1]]} if self.pressed else {})

    def typed(self) -> list[Control]:
        """What a person can fill in."""
        return [one for one in self.controls.values() if one.kind in TYPED | CHOSEN]


class Reader(HTMLParser):
    """Collects the forms of a page, and the texts of what has an id."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.forms: list[Form] = []
        self.by_id: dict[str, str] = {}
        self._form: Form | None = None
        self._area: Control | None = None
        self._select: Control | None = None
        self._open_ids: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a form, or note a control of it."""
        has = {name: value or "" for name, value in attrs}
        if "id" in has:
            self.by_id.setdefault(has["id"], "")
            if tag not in ("input", "img", "br", "use", "path"):
                self._open_ids.append((tag, has["id"]))
        if tag == "form":
            action = urljoin(self.url, has.get("action") or self.url)
            self._form = Form(action, has.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None and "disabled" not in has:
            self._control(tag, has)

    def handle_endtag(self, tag: str) -> None:
        """Close what was open."""
        for place in range(len(self._open_ids) - 1, -1, -1):
            if self._open_ids[place][0] == tag:
                del self._open_ids[place]
                break
        if tag == "form":
            self._form = None
        elif tag == "textarea":
            self._area = None
        elif tag == "select":
            if self._select and not self._select.values and self._select.choices:
                self._select.values = self._select.choices[:1]
            self._select = None

    def handle_data(self, data: str) -> None:
        """The text of a text area, and of whatever has an id."""
        if self._area is not None:
            said = self._area.values[0]
            self._area.values = [said + (data if said else data.removeprefix("\n"))]
        for _, element_id in self._open_ids:
            self.by_id[element_id] += data

    def _control(self, tag: str, has: dict[str, str]) -> None:
        assert self._form is not None
        name, kind = has.get("name", ""), has.get("type", "text") if tag == "input" else tag
        if tag == "option" and self._select is not None:
            self._select.choices.append(has.get("value", ""))
            if "selected" in has:
                self._select.values.append(has.get("value", ""))
        elif kind == "submit" or (tag == "button" and has.get("type", "submit") == "submit"):
            if name and self._form.pressed is None:
                self._form.pressed = (name, has.get("value", ""))
        elif name and tag in ("input", "select", "textarea") and kind != "file":
            self._note(self._form.controls.setdefault(name, Control(name, kind)), has)

    def _note(self, one: Control, has: dict[str, str]) -> None:
        """What a control says of itself."""
        one.is_required |= "required" in has
        one.is_decimal |= one.kind == "number" or has.get("inputmode") in ("decimal", "numeric")
        one.described_by = has.get("aria-describedby", one.described_by)
        if has.get("maxlength", "").isdigit():
            one.max_length = int(has["maxlength"])
        if one.kind in ("radio", "checkbox"):
            one.choices.append(has.get("value", "on"))
            if "checked" in has:
                one.values.append(has.get("value", "on"))
        elif one.kind == "textarea":
            one.values = [""]
            self._area = one
        elif one.kind == "select":
            self._select = one
        else:
            one.values.append(has.get("value", ""))


def read(url: str, html: str) -> Reader:
    """The forms of a page."""
    reader = Reader(url)
    reader.feed(html)
    reader.close()
    return reader
