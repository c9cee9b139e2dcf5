"""``python -m billing_project.messages extract | compile | check``."""

from __future__ import annotations

import argparse
import sys

from billing_project.messages import catalogues, faults, sources
from billing_project.paths import BASE_DIR

COMMANDS = {
    "extract": "bring the .po files in line with what the code says",
    "compile": "make the .mo files that the portal reads",
    "check": "name what is not translated, or not as it should be",
}


def main() -> int:
    """Do what the command line says; 1 when the check finds something."""
    parser = argparse.ArgumentParser(prog="python -m billing_project.messages", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, does in COMMANDS.items():
        commands.add_parser(name, help=does, description=does)
    command = parser.parse_args().command
    if command == "extract":
        _extract()
    elif command == "compile":
        catalogues.compile_all(BASE_DIR)
    else:
        return _check()
    return 0


def _extract() -> None:
    template = sources.template(BASE_DIR)
    for language in catalogues.languages(BASE_DIR):
        updated = catalogues.update(catalogues.read(BASE_DIR, language), template)
        catalogues.write(BASE_DIR, updated)
        waiting = sum(faults.is_untranslated(message) for message in catalogues.messages(updated))
        print(f"{language}: {len(updated)} messages, {waiting} of them not translated")


def _check() -> int:
    template = sources.template(BASE_DIR)
    found = [
        f"{language}: {fault}"
        for language in catalogues.languages(BASE_DIR)
        for fault in faults.faults(catalogues.read(BASE_DIR, language), template)
    ]
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


sys.exit(main())
