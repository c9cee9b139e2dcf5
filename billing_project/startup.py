"""How every process begins: services there, settings good, or one line and the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ImproperlyConfigured

from billing_project import embedded, env, sandbox_clock

# Apps register checks of the environment under this tag (django.core.checks.register).
CONFIGURATION_TAG = "configuration"
# And what must be true before a process serves under this one.
SERVING_TAG = "serving"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the process with one line, not a traceback, when the configuration is bad."""
    try:
        yield
    except ImproperlyConfigured as error:
        sys.exit(f"Bad configuration: {' '.join(str(error).split())}")
    except embedded.ServiceError as error:
        sys.exit(f"Cannot start: {error}")


def prepare() -> None:
    """Make ``django.conf.settings`` readable: services up, the environment in order."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_project.settings")
    with one_line_errors():
        env.read_file()
        embedded.provide()
        from django.conf import settings

        if settings.SANDBOX:  # reads the module
            sandbox_clock.follow(settings.SANDBOX_CLOCK)


def check(*tags: str) -> None:
    """Load everything and run the apps' checks of the environment; a bad variable ends it.

    ``tags`` are further kinds of checks, of the database too, of which not even a warning passes.
    """
    prepare()
    with one_line_errors():
        import django
        from django.core import checks

        import billing_project.celery  # noqa: F401 - makes it the app that tasks are sent by

        django.setup()
        found = [each for each in checks.run_checks(tags=[CONFIGURATION_TAG]) if each.is_serious()]
        if tags:
            found += checks.run_checks(tags=list(tags), databases=["default"])
        for message in found:
            raise ImproperlyConfigured(message.msg)
