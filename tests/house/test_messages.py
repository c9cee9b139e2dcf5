"""The sentences are found wherever they stand, and what is wrong with a translation is named."""

from __future__ import annotations

import gettext
import subprocess
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from billing_project.messages import catalogues, faults, sources
from billing_project.paths import BASE_DIR

HEADER = r"""
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\n"
"Language: ru\n"
"Plural-Forms: nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && "
"(n%100<10 || n%100>=20) ? 1 : 2);\n"
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A portal with one template, one module and one translation."""
    write(tmp_path, "billing/errors.py", 'MESSAGE = gettext_lazy("Not enough.")\n')
    write(tmp_path, "templates/page.html", '{% translate "Plans" %}\n')
    keep(tmp_path, 'msgid "Not enough."\nmsgstr "Не хватает."\n')
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def keep(folder: Path, entries: str) -> None:
    write(folder, "locale/ru/LC_MESSAGES/django.po", f"{HEADER}\n{entries}")


Found = list[tuple[str | None, str | tuple[str, ...]]]


def found_in(folder: Path) -> Found:
    return [
        (one.context, one.id if isinstance(one.id, str) else tuple(one.id))
        for one in catalogues.messages(sources.template(folder))
    ]


def wrong_with(folder: Path) -> list[str]:
    return list(faults.faults(catalogues.read(folder, "ru"), sources.template(folder)))


def extract(folder: Path) -> Catalog:
    updated = catalogues.update(catalogues.read(folder, "ru"), sources.template(folder))
    catalogues.write(folder, updated)
    return updated


@pytest.mark.parametrize(
    ("line", "context", "message"),
    [
        ('_("One")', None, "One"),
        ('gettext_lazy("One")', None, "One"),
        ('_(\n    "One, "\n    "two"\n)', None, "One, two"),
        ('ngettext("%(n)s day", "%(n)s days", n)', None, ("%(n)s day", "%(n)s days")),
        ('ngettext_lazy("%(n)s day", "%(n)s days", "n")', None, ("%(n)s day", "%(n)s days")),
        ('pgettext_lazy("light", "Auto")', "light", "Auto"),
        ('npgettext("time", "%(n)s day", "%(n)s days", n)', "time", ("%(n)s day", "%(n)s days")),
    ],
)
def test_marked_strings_of_python_are_found(
    tmp_path: Path, line: str, context: str | None, message: str | tuple[str, ...]
) -> None:
    write(tmp_path, "accounts/one.py", f"def one():\n    return {line}\n")

    assert found_in(tmp_path) == [(context, message)]


@pytest.mark.parametrize(
    ("text", "context", "message"),
    [
        ('{% translate "One" %}', None, "One"),
        ('{% translate "May" context "may do" %}', "may do", "May"),
        ('{% include "x.html" with title=_("One") %}', None, "One"),
        ('{{ value|default:_("One") }}', None, "One"),
        ("{% blocktranslate %}On {{ day }}{% endblocktranslate %}", None, "On %(day)s"),
        (
            (
                "{% blocktranslate trimmed with day=row.at|date %}\n  On {{ day }}\n"
                "  or 5% later\n{% endblocktranslate %}"
            ),
            None,
            "On %(day)s or 5%% later",
        ),
        (
            (
                "{% blocktranslate count n=rows|length %}{{ n }} row{% plural %}{{ n }} rows"
                "{% endblocktranslate %}"
            ),
            None,
            ("%(n)s row", "%(n)s rows"),
        ),
        (
            (
                '{% blocktranslate trimmed context "time" count n=days %}\n {{ n }} day\n'
                "{% plural %}\n {{ n }} days\n{% endblocktranslate %}"
            ),
            "time",
            ("%(n)s day", "%(n)s days"),
        ),
    ],
)
def test_tags_of_templates_are_found_however_they_are_indented(
    tmp_path: Path, text: str, context: str | None, message: str | tuple[str, ...]
) -> None:
    page = f"<ul>\n      <li>It's\n   <b>{text}</b>\n        </li>\n  </ul>\n"
    write(tmp_path, "templates/deep/page.html", page)

    assert found_in(tmp_path) == [(context, message)]


def test_the_text_of_e_mails_is_found(tmp_path: Path) -> None:
    write(tmp_path, "templates/emails/receipt.txt", '{% translate "Thank you" %}')

    assert (None, "Thank you") in found_in(tmp_path)


def test_a_planted_message_is_named_as_missing(house: Path) -> None:
    assert wrong_with(house) == ["missing, extract it: 'Plans' in templates/page.html"]


def test_extracting_keeps_translations_and_drops_what_is_gone(house: Path) -> None:
    write(house, "billing/errors.py", 'A = _("Not enough.")\nB = _("Gone")\n')
    extract(house)
    write(house, "billing/errors.py", 'A = _("Not enough.")\n')

    extract(house)

    kept = catalogues.path_of(house, "ru").read_text()
    assert 'msgid "Not enough."\nmsgstr "Не хватает."\n' in kept
    assert "Gone" not in kept
    assert wrong_with(house) == ["not translated: 'Plans' in templates/page.html"]


def test_extracting_again_changes_nothing(house: Path) -> None:
    extract(house)
    first = catalogues.path_of(house, "ru").read_bytes()

    extract(house)

    assert catalogues.path_of(house, "ru").read_bytes() == first
    assert b"errors.py" not in first


@pytest.mark.parametrize(
    ("message", "entry", "fault"),
    [
        (
            '_("%(count)s left")',
            'msgid "%(count)s left"\nmsgstr "осталось %(cuont)s"',
            "other placeholders in 'осталось %(cuont)s': '%(count)s left'",
        ),
        (
            '_("Hello {name}")',
            'msgid "Hello {name}"\nmsgstr "Привет"',
            "other placeholders in 'Привет': 'Hello {name}'",
        ),
        (
            '_("<b>Hello</b>")',
            'msgid "<b>Hello</b>"\nmsgstr "<b>Привет<b>"',
            "other markup in '<b>Привет<b>': '<b>Hello</b>'",
        ),
        (
            '_("Hello")',
            '#, fuzzy\nmsgid "Hello"\nmsgstr "Пока"',
            "fuzzy: 'Hello'",
        ),
        (
            'pgettext("a greeting", "Hello")',
            'msgid "Hello"\nmsgstr "Привет"',
            "missing, extract it: 'Hello' (a greeting) in billing/errors.py",
        ),
        (
            '_("Hello")',
            'msgid "Hello"\nmsgstr "Привет"\n\nmsgid "Old"\nmsgstr "Старый"',
            "not used any more, extract again: 'Old'",
        ),
        (
            'ngettext("%(n)s day", "%(n)s days", n)',
            (
                'msgid "%(n)s day"\nmsgid_plural "%(n)s days"\nmsgstr[0] "%(n)s день"\n'
                'msgstr[1] "%(n)s дня"'
            ),
            "not translated: '%(n)s day'",
        ),
        (
            'ngettext("One day", "%(n)s days", n)',
            (
                'msgid "One day"\nmsgid_plural "%(n)s days"\nmsgstr[0] "Один день"\n'
                'msgstr[1] "%(n)s дня"\nmsgstr[2] "%(n)s дней"'
            ),
            "other placeholders in 'Один день': 'One day'",
        ),
    ],
)
def test_each_fault_of_a_translation_is_named(
    tmp_path: Path, message: str, entry: str, fault: str
) -> None:
    write(tmp_path, "billing/errors.py", f"MESSAGE = {message}\n")
    keep(tmp_path, entry)

    assert any(line.startswith(fault) for line in wrong_with(tmp_path))


def test_a_good_translation_has_no_fault(tmp_path: Path) -> None:
    write(tmp_path, "billing/errors.py", 'ngettext("%(n)s day of 5%%", "%(n)s days of 5%%", n)\n')
    keep(
        tmp_path,
        'msgid "%(n)s day of 5%%"\nmsgid_plural "%(n)s days of 5%%"\nmsgstr[0] "%(n)s день"\n'
        'msgstr[1] "%(n)s дня"\nmsgstr[2] "%(n)s дней"',
    )

    assert wrong_with(tmp_path) == []


def test_compiled_translations_are_what_gettext_reads(house: Path) -> None:
    catalogues.compile_all(house)

    with catalogues.path_of(house, "ru").with_suffix(".mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Not enough.") == "Не хватает."


def test_what_is_compiled_follows_a_change_of_the_translation(house: Path) -> None:
    catalogues.compile_all(house)
    keep(house, 'msgid "Not enough."\nmsgstr "Мало."\n')

    catalogues.compile_all(house)

    with catalogues.path_of(house, "ru").with_suffix(".mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Not enough.") == "Мало."


def test_compiled_translations_are_not_committed() -> None:
    path = catalogues.path_of(BASE_DIR, "ru").with_suffix(".mo")

    asked = subprocess.run(["git", "check-ignore", "-q", path], cwd=BASE_DIR, check=False)

    assert asked.returncode == 0
