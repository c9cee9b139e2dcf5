"""Beat's own eye on the workers: who is silent cannot say so."""

from __future__ import annotations

import logging
import threading
import time

from django.db import DatabaseError, connections

from billing_project.operations import alerts, liveness, readings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0


class Watchman:
    """Asked at every tick; looks once a minute, beside the ticking, whether a worker is heard."""

    def __init__(self) -> None:
        # A worker that starts with beat needs a moment to be heard.
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._looking: threading.Thread | None = None

    def tick(self) -> None:
        """Note that beat lives; look if it is time to and nobody is at it."""
        liveness.touch("beat")
        is_busy = self._looking is not None and self._looking.is_alive()
        if is_busy or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._looking = threading.Thread(target=_look_apart, name="watchman", daemon=True)
        self._looking.start()


def _look_apart() -> None:
    try:
        look()
    except DatabaseError:
        logger.warning("nothing can be watched without the database")
    except Exception:
        logger.exception("beat could not look")
    finally:
        connections.close_all()


def look() -> None:
    """While no worker is heard, do in its place what tells people so."""
    readings.expect(readings.HEARTBEAT)
    heard = readings.last(readings.HEARTBEAT)
    if heard is not None and heard.age > readings.longest_silence():
        alerts.look()
