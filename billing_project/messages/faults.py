"""What is wrong with a language's translations."""

from __future__ import annotations

import re
from collections.abc import Iterator

from babel.messages.catalog import Catalog, Message

from billing_project.messages import catalogues

# What is filled in: %(name)s, %s, {name}. A literal percent sign is %%.
_PLACEHOLDER = re.compile(r"%\([^)]+\)[-#0 +]*[\d.]*[a-zA-Z]|%[a-zA-Z]|\{\w*\}")
_TAG = re.compile(r"<[^<>]+>")


def faults(catalogue: Catalog, template: Catalog) -> Iterator[str]:
    """Each message that is missing, left over, not translated, doubtful or wrongly filled in."""
    kept = {_key(message): message for message in catalogues.messages(catalogue)}
    wanted = {_key(message) for message in catalogues.messages(template)}
    for message in catalogues.messages(template):
        found = kept.get(_key(message))
        if found is None or found.pluralizable != message.pluralizable:
            yield f"missing, extract it: {_name(message)}"
        elif is_untranslated(found):
            yield f"not translated: {_name(message)}"
        else:
            yield from _doubts(found, catalogue.num_plurals, _name(message))
    for key, message in kept.items():
        if key not in wanted:
            yield f"not used any more, extract again: {_name(message)}"


def is_untranslated(message: Message) -> bool:
    """Whether the message, or one of its plural forms, has no text."""
    return not all(_forms(message))


def _doubts(message: Message, plural_count: int, name: str) -> Iterator[str]:
    if message.fuzzy:
        yield f"fuzzy: {name}"
    forms = _forms(message)
    wanted_count = plural_count if message.pluralizable else 1
    if len(forms) != wanted_count:
        yield f"{len(forms)} plural forms, not {wanted_count}: {name}"
    # One is also said of 21 in other languages, so that every form has what the plural has.
    wanted = _placeholders(_ids(message)[-1])
    markup = sorted(_TAG.findall(_ids(message)[-1]))
    for form in forms:
        if _placeholders(form) != wanted:
            yield f"other placeholders in {form!r}: {name}"
        if sorted(_TAG.findall(form)) != markup:
            yield f"other markup in {form!r}: {name}"


def _placeholders(text: str) -> set[str]:
    return set(_PLACEHOLDER.findall(text.replace("%%", "")))


def _ids(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def _forms(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))


def _key(message: Message) -> tuple[str | None, str]:
    return (message.context, _ids(message)[0])


def _name(message: Message) -> str:
    context = f" ({message.context})" if message.context else ""
    places = ", ".join(path for path, _line in message.locations[:2])
    return f"{_ids(message)[0]!r}{context}" + (f" in {places}" if places else "")
