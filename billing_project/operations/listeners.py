"""What is heard of Celery: request ids travel along, outcomes are counted, findings are kept."""

from __future__ import annotations

import logging
import time
from typing import Any

import structlog
from celery import signals

from billing_project.operations import liveness, readings, task_counts

logger = logging.getLogger(__name__)

REQUEST_ID = "request_id"
LEDGER_TASK = "billing.check_ledger"
TOUCH_SECONDS = 5.0


def connect() -> None:
    """Listen for the life of the process; connecting twice changes nothing."""
    signals.before_task_publish.connect(_send_request_id, dispatch_uid="operations")
    signals.task_prerun.connect(_begin, dispatch_uid="operations")
    signals.task_postrun.connect(_end, dispatch_uid="operations")
    signals.task_success.connect(_succeeded, dispatch_uid="operations")
    signals.task_failure.connect(_failed, dispatch_uid="operations")
    signals.task_retry.connect(_retried, dispatch_uid="operations")


def connect_worker() -> None:
    """Only where a worker runs: its main process says that it lives."""
    signals.heartbeat_sent.connect(_worker_lives, dispatch_uid="operations")


def _send_request_id(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """The request that a task comes of goes with it into the worker's log."""
    request_id = structlog.contextvars.get_contextvars().get(REQUEST_ID)
    if headers is not None and request_id:
        headers.setdefault(REQUEST_ID, request_id)


def _begin(task_id: str, task: Any, **_: Any) -> None:
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id)
    request_id = getattr(task.request, REQUEST_ID, None)
    if request_id:
        structlog.contextvars.bind_contextvars(request_id=request_id)


def _end(task: Any, **_: Any) -> None:
    structlog.contextvars.unbind_contextvars("task", "task_id")
    if getattr(task.request, REQUEST_ID, None):
        structlog.contextvars.unbind_contextvars(REQUEST_ID)


def _succeeded(sender: Any, result: Any = None, **_: Any) -> None:
    task_counts.count(sender.name, "succeeded")
    if sender.name == LEDGER_TASK and isinstance(result, int):
        readings.note(readings.LEDGER, result)


def _failed(sender: Any, **_: Any) -> None:
    task_counts.count(sender.name, "failed")


def _retried(sender: Any, **_: Any) -> None:
    task_counts.count(sender.name, "retried")


_touched = 0.0


def _worker_lives(**_: Any) -> None:
    global _touched  # noqa: PLW0603 - one worker a process
    if time.monotonic() - _touched > TOUCH_SECONDS:
        _touched = time.monotonic()
        liveness.touch("worker")
