"""Countries by their names, and what a VAT number of each looks like."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from babel import Locale
from django.utils.translation import get_language

# Codes that have a name and are no country of ISO 3166: parts of one, unions, placeholders.
_NO_COUNTRIES = frozenset(
    {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"}
)

# By country: what follows the prefix, and an example to show.
_VAT = {
    "AT": (r"U\d{8}", "ATU12345678"),
    "BE": (r"[01]\d{9}", "BE0123456789"),
    "BG": (r"\d{9,10}", "BG123456789"),
    "CH": (r"E\d{9}(MWST|TVA|IVA)?", "CHE123456789MWST"),
    "CY": (r"\d{8}[A-Z]", "CY12345678X"),
    "CZ": (r"\d{8,10}", "CZ12345678"),
    "DE": (r"\d{9}", "DE123456789"),
    "DK": (r"\d{8}", "DK12345678"),
    "EE": (r"\d{9}", "EE123456789"),
    "ES": (r"[A-Z0-9]\d{7}[A-Z0-9]", "ESX1234567X"),
    "FI": (r"\d{8}", "FI12345678"),
    "FR": (r"[A-HJ-NP-Z0-9]{2}\d{9}", "FR12345678901"),
    "GB": (r"(\d{9}|\d{12}|GD\d{3}|HA\d{3})", "GB123456789"),
    "GR": (r"\d{9}", "EL123456789"),
    "HR": (r"\d{11}", "HR12345678901"),
    "HU": (r"\d{8}", "HU12345678"),
    "IE": (r"(\d{7}[A-W][A-I]?|\d[A-Z+*]\d{5}[A-W])", "IE1234567T"),
    "IT": (r"\d{11}", "IT12345678901"),
    "LT": (r"(\d{9}|\d{12})", "LT123456789"),
    "LU": (r"\d{8}", "LU12345678"),
    "LV": (r"\d{11}", "LV12345678901"),
    "MT": (r"\d{8}", "MT12345678"),
    "NL": (r"\d{9}B\d{2}", "NL123456789B01"),
    "PL": (r"\d{10}", "PL1234567890"),
    "PT": (r"\d{9}", "PT123456789"),
    "RO": (r"\d{2,10}", "RO1234567890"),
    "SE": (r"\d{10}01", "SE123456789001"),
    "SI": (r"\d{8}", "SI12345678"),
    "SK": (r"\d{10}", "SK1234567890"),
}
_PREFIX = {"GR": "EL"}


def choices() -> list[tuple[str, str]]:
    """Code and name of every country in the language of the page, by name."""
    return list(_names((get_language() or "en").partition("-")[0]))


def example_if_wrong(country: str, tax_id: str) -> str:
    """What a number of that country looks like, if this cannot be one; empty if it may.

    Only a number that says by its prefix that it is the country's VAT number can be wrong: tax
    offices give others as well, and nobody knows them all.
    """
    rule = _VAT.get(country)
    if rule is None:
        return ""
    pattern, example = rule
    written = re.sub(r"[\s.\-/]", "", tax_id).upper()
    prefix = _PREFIX.get(country, country)
    claims = written.startswith(prefix) and any(sign.isdigit() for sign in written)
    if not claims or re.fullmatch(pattern, written.removeprefix(prefix)):
        return ""
    return example


@lru_cache(maxsize=8)
def _names(language: str) -> tuple[tuple[str, str], ...]:
    territories = Locale.parse(language).territories
    countries = [
        (code, name)
        for code, name in territories.items()
        if re.fullmatch(r"[A-Z]{2}", code) and code not in _NO_COUNTRIES
    ]
    return tuple(sorted(countries, key=lambda country: _sortable(country[1])))


def _sortable(name: str) -> str:
    """The name without its accents: Åland stands among the A."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
