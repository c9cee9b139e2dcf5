"""The last step of ``make run``: fill the catalogue and the demo, then say where everything is.

Runs beside the other processes, because the catalogue needs the sandbox; stays until stopped.
"""

from __future__ import annotations

import http.client
import io
import signal
import sys
import threading
import time
import urllib.error
import urllib.request

from billing_project import startup

WAIT_SECONDS = 60


def main() -> None:
    """Wait for the others, prepare, print the addresses, rest."""
    startup.check()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    from django.conf import settings

    portal = f"http://127.0.0.1:{settings.PORT}"
    if settings.SANDBOX:
        _wait_for(f"{settings.SANDBOX_URL}/_sandbox/health")
    _wait_for(f"{portal}/healthz")
    _wait_for_worker()
    _call("sync_catalogue")
    logins = _call("seed_demo") if settings.SANDBOX else ""
    _print_addresses(logins)
    stop.wait()


def _call(command: str) -> str:
    """Run a management command; what it says."""
    from django.core.management import call_command
    from django.core.management.base import CommandError

    said = io.StringIO()
    try:
        call_command(command, stdout=said)
    except CommandError as error:
        sys.exit(f"{command}: {error}")
    return said.getvalue()


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=2):  # noqa: S310 - our own loopback
                return
        except urllib.error.HTTPError:
            return  # it answers, if only to say no
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
    sys.exit(f"{address} did not answer within {WAIT_SECONDS} s; see the lines above")


def _wait_for_worker() -> None:
    from billing_project.celery import app

    deadline = time.monotonic() + WAIT_SECONDS
    while not app.control.ping(timeout=0.5):
        if time.monotonic() > deadline:
            sys.exit(f"No worker answered within {WAIT_SECONDS} s; see the lines above")


def _print_addresses(logins: str) -> None:
    from django.conf import settings

    lines = [
        "",
        f"The portal is up:  {settings.PUBLIC_URL}",
        f"  admin            {settings.PUBLIC_URL}/admin/",
        f"  API              {settings.PUBLIC_URL}/api/docs",
    ]
    if settings.SANDBOX:
        lines += [
            f"  sandbox          {settings.SANDBOX_URL}  (stands in for Stripe; no real money)",
            "  test card        4242 4242 4242 4242, any future date, any CVC",
            *(f"  {line}" for line in logins.splitlines()),
        ]
    lines += ["Ctrl-C stops it; what is stored stays.", ""]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
