"""A file per process that is touched while it works: for container health checks.

``python -m billing_project.operations.probe`` looks at it, without loading the portal.
"""

from __future__ import annotations

import logging
import time

from billing_project.paths import VAR_DIR

logger = logging.getLogger(__name__)

FOLDER = VAR_DIR / "run"


def touch(name: str) -> None:
    """Say that this process lives; where nothing can be written, only that is said."""
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{name}.alive").touch()
    except OSError as problem:
        logger.warning("liveness not noted", extra={"alive": name, "problem": str(problem)})


def age_seconds(name: str) -> float | None:
    """How long ago it was last touched; None when it never was."""
    try:
        return time.time() - (FOLDER / f"{name}.alive").stat().st_mtime
    except OSError:
        return None
