"""Finding the sentences: marked strings in Python, tags in templates."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from django.utils.translation.template import templatize

PACKAGES = ("accounts", "billing", "billing_project", "common")
TEMPLATES = ("templates/**/*.html", "templates/**/*.txt")

# Which arguments of the marking functions are the sentence, its plural, its context ("c").
_PLAIN = None
_PLURAL = (1, 2)
_CONTEXT = ((1, "c"), 2)
_CONTEXT_PLURAL = ((1, "c"), 2, 3)
KEYWORDS = {
    "_": _PLAIN,
    "gettext": _PLAIN,
    "gettext_lazy": _PLAIN,
    "gettext_noop": _PLAIN,
    "ngettext": _PLURAL,
    "ngettext_lazy": _PLURAL,
    "pgettext": _CONTEXT,
    "pgettext_lazy": _CONTEXT,
    "npgettext": _CONTEXT_PLURAL,
    "npgettext_lazy": _CONTEXT_PLURAL,
}


def template(folder: Path) -> Catalog:
    """All sentences of the portal that lies in ``folder``, without translations."""
    found = Catalog(fuzzy=False)
    for path in _files(folder):
        text = path.read_text()
        source = text if path.suffix == ".py" else _as_python(text, path)
        for line, message, _comments, context in _extract(source):
            place = (path.relative_to(folder).as_posix(), line)
            found.add(message, locations=[place], context=context)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((folder / package).rglob("*.py"))
    for pattern in TEMPLATES:
        yield from sorted(folder.glob(pattern))


def _as_python(text: str, path: Path) -> str:
    """The template with its tags as calls of gettext, and the rest blanked out.

    Its indentation means nothing, and Python's would be wrong.
    """
    source = templatize(text, origin=str(path))
    return "\n".join(line.lstrip() for line in source.split("\n"))


def _extract(
    source: str,
) -> Iterator[tuple[int, str | tuple[str, ...], list[str], str | None]]:
    yield from extract("python", io.BytesIO(source.encode()), keywords=KEYWORDS)
