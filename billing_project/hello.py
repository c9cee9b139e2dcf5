"""The last step of ``make run``: fill the catalogue and the demo, then say where everything is.

Runs beside the other processes, because the catalogue needs the sandbox; stays until stopped. The
first time it then lives the demo month, while the portal is in use already.
"""

from __future__ import annotations

import http.client
import io
import logging
import signal
import sys
import threading
import time
import urllib.error
import urllib.request

from billing_project import env, startup

logger = logging.getLogger(__name__)

WAIT_SECONDS = 60


def main() -> None:
    """Wait for the others, prepare, print the addresses, rest."""
    startup.check()
    # Also in the midst of the demo month: the portal bears being cut off anywhere.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with startup.one_line_errors():
        lives_a_month = env.flag("DEMO_MONTH", default=True)
    from django.conf import settings

    portal = f"http://127.0.0.1:{settings.PORT}"
    if settings.SANDBOX:
        _wait_for(f"{settings.SANDBOX_URL}/_sandbox/health")
    _wait_for(f"{portal}/healthz")
    _wait_for_worker()
    _call("sync_catalogue")
    logins = _call("seed_demo") if settings.SANDBOX else ""
    _print_addresses(logins)
    if settings.SANDBOX and lives_a_month:
        _live_a_month()
    threading.Event().wait()


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


def _live_a_month() -> None:
    """Let the demo month be lived; the portal goes on whatever becomes of it."""
    from django.core.management import call_command
    from django.core.management.base import CommandError

    try:
        call_command("demo_month")
    except CommandError as error:
        print(error, flush=True)
    except Exception:
        logger.exception("the demo month broke off")


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
            "  let time pass    SANDBOX=1 .venv/bin/python manage.py advance_clock 31d",
            *(f"  {line}" for line in logins.splitlines()),
        ]
    lines += ["Ctrl-C stops it; what is stored stays.", ""]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
