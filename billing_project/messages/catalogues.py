"""The translations: read, brought up to date, written and compiled."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

# What Babel writes at the top and nobody reads; it would change with every run.
_IDLE_HEADERS = (
    "Project-Id-Version",
    "Report-Msgid-Bugs-To",
    "POT-Creation-Date",
    "PO-Revision-Date",
    "Last-Translator",
    "Language-Team",
    "Generated-By",
)


def languages(folder: Path) -> list[str]:
    """The languages that have translations, by code."""
    return sorted(path.parts[-3] for path in folder.glob("locale/*/LC_MESSAGES/django.po"))


def path_of(folder: Path, language: str) -> Path:
    """Where a language's translations are kept; the compiled ones lie beside them."""
    return folder / "locale" / language / "LC_MESSAGES" / "django.po"


def read(folder: Path, language: str) -> Catalog:
    """A language's translations as they are kept."""
    with path_of(folder, language).open("rb") as file:
        return read_po(file, locale=language, domain="django")


def messages(catalogue: Catalog) -> Iterator[Message]:
    """Its messages, without the header."""
    return (message for message in catalogue if message.id)


def update(catalogue: Catalog, template: Catalog) -> Catalog:
    """The catalogue with exactly the messages of ``template``; what is translated stays so."""
    catalogue.update(template, no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    catalogue.fuzzy = False
    return catalogue


def write(folder: Path, catalogue: Catalog) -> None:
    """Keep the translations: sorted, without line numbers and dates, so that changes stay small."""
    path = path_of(folder, str(catalogue.locale))
    _replace(path, _text(catalogue).encode())


def _text(catalogue: Catalog) -> str:
    out = io.BytesIO()
    write_po(out, catalogue, width=100, no_location=True, sort_output=True, ignore_obsolete=True)
    kept: list[str] = []
    for line in out.getvalue().decode().splitlines(keepends=True):
        is_idle = line.startswith(tuple(f'"{name}:' for name in _IDLE_HEADERS))
        # Comments before the header name nobody's copyright.
        is_preface = line.startswith("#") and not kept
        if not is_idle and not is_preface:
            kept.append(line)
    return "".join(kept).lstrip()


def compile_all(folder: Path) -> None:
    """Make every language's .mo file, unless it is younger than its .po file."""
    for language in languages(folder):
        path = path_of(folder, language)
        target = path.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime_ns > path.stat().st_mtime_ns:
            continue
        out = io.BytesIO()
        write_mo(out, read(folder, language))
        _replace(target, out.getvalue())


def _replace(path: Path, content: bytes) -> None:
    """Write at once: a portal that starts meanwhile reads all of the old or of the new."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
