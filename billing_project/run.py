"""``make run``: the whole portal on this machine, in one terminal, until Ctrl-C.

Starts what is embedded, brings the database and the assets up to date, and hands over to honcho,
which runs the processes of the Procfile and stops all of them when one stops.
"""

from __future__ import annotations

import multiprocessing
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from billing_project import embedded, env, ports, preparing, startup
from billing_project.paths import BASE_DIR, VAR_DIR

# What honcho ends with after Ctrl-C and after SIGTERM.
STOPPED_ON_REQUEST = {None, 0, 130, 143}


def main() -> None:
    """Run until a signal comes; what was started is stopped, what was stored is kept."""
    signal.signal(signal.SIGHUP, _as_terminate)
    try:
        returncode = _run()
    except KeyboardInterrupt:
        returncode = 0
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # let PostgreSQL and Redis stop in peace
    sys.exit(returncode)


def _run() -> int:
    started = time.monotonic()
    with startup.one_line_errors():
        env.read_file()
        os.environ.setdefault("SANDBOX", "1")
        is_sandbox = env.flag("SANDBOX", default=True)
        _require_ports(is_sandbox=is_sandbox)
        if is_sandbox:
            os.environ.setdefault("BASIC_TRIAL_DAYS", "7")  # something to try in the demo
        VAR_DIR.mkdir(exist_ok=True)
        _say("Starting PostgreSQL and Redis")
        embedded.provide()
    startup.check()
    preparing.migrate(_say)
    preparing.collect_static(_say)
    _say(f"Starting the portal ({time.monotonic() - started:.0f} s so far)")
    return _run_processes(is_sandbox=is_sandbox)


def _require_ports(*, is_sandbox: bool) -> None:
    port = env.integer("PORT", 8000, minimum=1, maximum=65535)
    ports.require_free("PORT", port, env.text("HOST", "127.0.0.1"))
    if is_sandbox:
        sandbox_port = env.integer("SANDBOX_PORT", 8431, minimum=1, maximum=65535)
        ports.require_free("SANDBOX_PORT", sandbox_port)


def _run_processes(*, is_sandbox: bool) -> int:
    from django.db import connections
    from honcho.environ import parse_procfile
    from honcho.manager import Manager

    connections.close_all()
    environment = _environment(is_sandbox=is_sandbox)
    manager = Manager()
    commands = parse_procfile((BASE_DIR / "Procfile").read_text()).processes
    for name, command in commands.items():
        if name != "sandbox" or is_sandbox:
            manager.add_process(name, f"exec {command}", env=environment, cwd=str(BASE_DIR))
    hello = f"exec {shlex.quote(sys.executable)} -m billing_project.hello"
    manager.add_process("portal", hello, env=environment, cwd=str(BASE_DIR))
    manager.loop()
    for child in multiprocessing.active_children():
        child.join()  # each still holds its share of the services
    return 0 if manager.returncode in STOPPED_ON_REQUEST else int(manager.returncode)


def _environment(*, is_sandbox: bool) -> dict[str, str]:
    """Ours, with the services' addresses in it and the virtual environment first on PATH."""
    from django.conf import settings

    environment = dict(os.environ)
    programs = str(Path(sys.executable).parent)
    environment["PATH"] = os.pathsep.join([programs, environment.get("PATH", os.defpath)])
    environment["PYTHONUNBUFFERED"] = "1"
    # Celery warns at length whoever tries this out as root, in a container say.
    environment.setdefault("PYTHONWARNINGS", "ignore:You're running the worker")
    if is_sandbox:
        environment.setdefault(
            "SANDBOX_WEBHOOK_URL", f"http://127.0.0.1:{settings.PORT}/api/webhooks/stripe"
        )
        environment.setdefault("SANDBOX_WEBHOOK_SECRET", settings.STRIPE_WEBHOOK_SECRET)
        environment.setdefault("SANDBOX_PORT", str(settings.SANDBOX_PORT))
        environment.setdefault("SANDBOX_URL", settings.SANDBOX_URL)
        environment.setdefault("SANDBOX_DB", str(VAR_DIR / "sandbox.db"))
        environment.setdefault("SANDBOX_CLOCK", str(settings.SANDBOX_CLOCK))
    return environment


def _as_terminate(_signal: int, _frame: FrameType | None) -> None:
    """A closed terminal means stop, as SIGTERM does."""
    os.kill(os.getpid(), signal.SIGTERM)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
