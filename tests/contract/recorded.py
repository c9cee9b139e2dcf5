"""Compare the sandbox with recorded exchanges of the real service: a check for its builders.

    python -m tests.contract.recorded FOLDER

Every JSON file in FOLDER is a list of {request: {method, path, body}, status, response}. Prints,
per kind of object, the fields that every recorded object has and no object of the sandbox, and
replays the requests that need nothing which came before. Exits 1 if anything is missing that is not
named in ``KNOWN``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.contract import life
from tests.sandbox.server import API_KEY, Sandbox

# Real answers carry these; Stripe's types do not declare them, or the sandbox says it lacks them.
KNOWN = {
    "charge": {"destination", "dispute", "order"},
    "payment_intent": {
        "payment_method_options.link",
        "payment_method_options.link.persistent_token",
    },
}
REPLAYED = [("POST", "/v1/customers")]


def objects(node: Any) -> Iterator[dict[str, Any]]:
    """Every object inside an answer, itself included."""
    if isinstance(node, list):
        for one in node:
            yield from objects(one)
    elif isinstance(node, dict):
        if isinstance(node.get("object"), str):
            yield node
        for one in node.values():
            yield from objects(one)


def fields(obj: dict[str, Any], prefix: str = "") -> set[str]:
    """Names of the fields, dotted through plain inner objects; metadata's keys are not fields."""
    found = set()
    for name, value in obj.items():
        found.add(prefix + name)
        if isinstance(value, dict) and "object" not in value and name != "metadata":
            found |= fields(value, f"{prefix}{name}.")
    return found


def missing_fields(recorded: list[Any], own: list[Any]) -> dict[str, set[str]]:
    """Per kind: what every recorded object has and none of ours."""
    always: dict[str, set[str]] = {}
    ever: dict[str, set[str]] = defaultdict(set)
    for obj in objects(recorded):
        kind = obj["object"]
        always[kind] = always.get(kind, fields(obj)) & fields(obj)
    for obj in objects(own):
        ever[obj["object"]] |= fields(obj)
    return {
        kind: always[kind] - ever[kind] - KNOWN.get(kind, set()) for kind in always if kind in ever
    }


def replay(sandbox: Sandbox, exchange: dict[str, Any]) -> set[str]:
    """Send a recorded request to the sandbox; the fields of the real answer that ours lacks."""
    request = exchange["request"]
    answer = sandbox.http.request(
        request["method"],
        request["path"],
        content=request["body"],
        headers={
            "Authorization": f"Bearer {API_KEY}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    if answer.status_code != exchange["status"]:
        return {f"status {answer.status_code}: {answer.text}"}
    return fields(exchange["response"]) - fields(answer.json())


def main(folder: Path) -> int:
    """Print what differs; 1 if anything does."""
    exchanges = [one for file in folder.glob("*.json") for one in json.loads(file.read_text())]
    answers = [one["response"] for one in exchanges if one["status"] == 200]
    with tempfile.TemporaryDirectory() as state, Sandbox(Path(state)) as sandbox:
        life.live(sandbox)
        found = missing_fields(answers, [answer for _, answer in life.everything(sandbox)])
        for exchange in exchanges:
            request = exchange["request"]
            name = f"{request['method']} {request['path']}"
            if (request["method"], request["path"]) in REPLAYED:
                found[name] = found.get(name, set()) | replay(sandbox, exchange)
    for kind, names in sorted(found.items()):
        print(f"{kind}: {', '.join(sorted(names)) or 'nothing is missing'}")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
