"""``python -m billing_project.operations.probe web|worker|beat``: a container's health check.

Exits 0 when that process of this container works, else 1 with a line that says why.
"""

from __future__ import annotations

import http.client
import os
import sys
from urllib.parse import urlsplit

from billing_project.operations import liveness

TIMEOUT_SECONDS = 5
LONGEST_SILENCE_SECONDS = 90


def main(arguments: list[str]) -> int:
    """Probe what is named; the exit code."""
    name = arguments[0] if len(arguments) == 1 else ""
    if name == "web":
        problem = _web()
    elif name in ("worker", "beat"):
        problem = _process(name)
    else:
        problem = "usage: probe web|worker|beat"
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


def _web() -> str:
    """Ask as the outside would: the portal answers to its own host name only."""
    host = urlsplit(os.environ.get("PUBLIC_URL", "")).netloc or "127.0.0.1"
    port = int(os.environ.get("PORT") or 8000)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health", headers={"Host": host})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as problem:
        return f"web does not answer: {problem}"
    finally:
        connection.close()
    return "" if status == http.client.OK else f"web answers {status}"


def _process(name: str) -> str:
    age = liveness.age_seconds(name)
    if age is None:
        return f"{name} has not started"
    return f"{name} is silent since {age:.0f} s" if age > LONGEST_SILENCE_SECONDS else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
