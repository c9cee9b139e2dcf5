"""Ring a task by its name once the current transaction has committed.

The database is the queue and Redis only the bell: what is rung for is already stored, and a
sweeper finds it when nobody hears. So a dead broker is logged, never raised, and never waited
for: one short time-out, then silence for a few seconds before the next try.
"""

import logging
import threading
import time
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction
from kombu import Connection
from kombu.pools import producers

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECONDS = 0.5
SILENCE_SECONDS = 5.0

_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "socket_timeout": CONNECT_TIMEOUT_SECONDS,
    "retry_on_timeout": False,
    # Without this kombu tries for ever to open the first channel.
    "max_retries": 0,
    "interval_start": 0,
}


def ring(task_name: str, *args: Any) -> None:
    """After commit, ask a worker to run ``task_name`` with ``args`` (ids, nothing stale).

    Outside a transaction it rings at once. Nothing is promised: the task may run late, twice or
    only when the sweeper comes by.
    """
    transaction.on_commit(partial(_BELL.send, task_name, args), robust=True)


class _Bell:
    """One broker connection for the process, and the memory of when it last failed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._url = ""
        self._silent_until = 0.0

    def send(self, task_name: str, args: tuple[Any, ...]) -> None:
        """Send one message, or log why not."""
        if time.monotonic() < self._silent_until:
            logger.info("doorbell silent, left to the sweeper: %s", task_name)
            return
        try:
            self._publish(task_name, args)
        except Exception as failure:  # noqa: BLE001
            # Any failure means the same here: the sweeper will do it. Brokers raise from redis,
            # kombu, socket and amqp alike, so there is no narrower class to name.
            self._silent_until = time.monotonic() + SILENCE_SECONDS
            logger.warning("doorbell unheard, left to the sweeper: %s (%s)", task_name, failure)

    def _publish(self, task_name: str, args: tuple[Any, ...]) -> None:
        pool = producers[self._connected()]
        with pool.acquire(block=True, timeout=CONNECT_TIMEOUT_SECONDS) as producer:
            current_app.send_task(
                task_name, args=args, producer=producer, retry=False, ignore_result=True
            )

    def _connected(self) -> Connection:
        url = current_app.conf.broker_write_url or current_app.conf.broker_url
        with self._lock:
            if self._connection is None or self._url != url:
                self._url = url
                self._connection = current_app.connection_for_write(
                    url,
                    connect_timeout=CONNECT_TIMEOUT_SECONDS,
                    transport_options=dict(_TRANSPORT_OPTIONS),
                )
            return self._connection


_BELL = _Bell()
