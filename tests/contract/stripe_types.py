"""Stripe's own types as a JSON Schema, made from the npm package ``stripe`` when first needed.

Python's ``stripe`` 15.6.2 and npm's 22.6.2 come of one specification, at one API version.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var" / "stripe-types"
GENERATOR = Path(__file__).with_name("stripe_types.mjs")
PACKAGES = ("stripe@22.6.2", "typescript@5.9.3")


class Unavailable(Exception):
    """There is no Node.js, or npm could not get the packages."""


def schema() -> dict[str, Any]:
    """The schema; made once per generator and package version, then read from ``var/``."""
    file = _file()
    if not file.exists():
        _install()
        made = _run("node", str(GENERATOR), str(FOLDER))
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_text(made)
        partial.replace(file)
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def can_be_had() -> bool:
    """Whether the schema is there or there is Node.js to make it."""
    return _file().exists() or (_program("node") is not None and _program("npm") is not None)


def _file() -> Path:
    recipe = GENERATOR.read_bytes() + " ".join(PACKAGES).encode()
    return FOLDER / f"schema-{hashlib.sha256(recipe).hexdigest()[:12]}.json"


def _install() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "package.json").write_text('{"private": true}\n')
    _run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", *PACKAGES)


def _run(program: str, *arguments: str) -> str:
    """What Node.js or npm printed. Raises Unavailable if that cannot be had."""
    found = _program(program)
    if found is None:
        raise Unavailable(f"there is no {program}")
    done = subprocess.run(
        [found, *arguments],
        cwd=FOLDER,
        env={**os.environ, "PATH": _path()},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"{program} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def _program(name: str) -> str | None:
    return shutil.which(name, path=_path())


def _path() -> str:
    """Where programs are; Node.js from PyPI lies beside Python."""
    return os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])


@cache
def _validator(table: str, name: str) -> Draft202012Validator | None:
    known = schema()
    if name not in known[table]:
        return None
    return Draft202012Validator({**known[table][name], "$defs": known["$defs"]})


def differences(obj: dict[str, Any]) -> list[str]:
    """How an object, event or list differs from its type, as ``path: message``; [] if it does not.

    Missing and ill-typed fields are differences, extra fields are not: the real service sends some
    that its types do not name.
    """
    if obj.get("object") == "list":
        return [line for one in obj["data"] for line in differences(one)]
    table, name = "objects", str(obj.get("object"))
    if obj.get("deleted"):
        table = "deleted"
    elif name == "event":
        table, name = "events", str(obj.get("type"))
    validator = _validator(table, name)
    if validator is None:
        return [f"there is no type for {table} {name!r}"]
    checked = _without_previous(obj) if table == "events" else obj
    lines = [
        f"{name} {'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in validator.iter_errors(checked)
    ]
    return lines + (_unknown_previous(obj) if table == "events" else [])


def _without_previous(event: dict[str, Any]) -> dict[str, Any]:
    """Old values are parts of objects; the declarations know only whole ones."""
    return {**event, "data": {"object": event["data"]["object"]}}


def _unknown_previous(event: dict[str, Any]) -> list[str]:
    previous = event["data"].get("previous_attributes", {})
    return [
        f"{event['type']}: previous attribute {name!r} is none of the object's"
        for name in previous
        if name not in event["data"]["object"] and previous[name] is None
    ]
