"""The web server: ``python -m billing_project.web``."""

from __future__ import annotations

import sys

from billing_project import env, logs, ports, startup
from billing_project.operations import metrics
from billing_project.paths import VAR_DIR


def main() -> None:
    """Serve the portal until told to stop; a taken port is one line that names it."""
    startup.prepare()
    with startup.one_line_errors():
        host = env.text("HOST", "127.0.0.1")
        workers = env.integer("WEB_WORKERS", 2, minimum=1, maximum=64)
        threads = env.integer("WEB_THREADS", 4, minimum=1, maximum=256)
    from django.conf import settings

    metrics.share_between_workers(VAR_DIR / "run" / f"metrics-{settings.PORT}")
    from django.db import connections
    from granian.constants import Interfaces
    from granian.server import Server

    if settings.SANDBOX and not env.is_loopback(host):
        sys.exit(f"Bad configuration: HOST: {host!r} is not this machine, as SANDBOX=1 demands")
    ports.require_free("PORT", settings.PORT, host)
    startup.check(startup.SERVING_TAG)
    connections.close_all()  # the workers make their own
    Server(
        "billing_project.wsgi:application",
        address=host,
        port=settings.PORT,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        # A thread that rests keeps its database connection for this long.
        blocking_threads_idle_timeout=600,
        workers_kill_timeout=30,
        websockets=False,
        log_dictconfig=logs.config("DEBUG" if settings.DEBUG else "INFO"),
    ).serve()


if __name__ == "__main__":
    main()
