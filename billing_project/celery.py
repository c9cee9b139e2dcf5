"""The Celery application: ``celery -A billing_project.celery worker``."""

from celery import Celery
from celery.signals import celeryd_init, setup_logging

from billing_project import startup

startup.prepare()

app = Celery("billing_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_our_logs(**_: object) -> None:
    """Connected, it stops Celery from putting its own format over ours."""


@celeryd_init.connect
def _check_before_work(**_: object) -> None:
    """A worker starts only on a database that this code fits."""
    startup.check(startup.SERVING_TAG)
    from billing_project.operations import listeners

    listeners.connect_worker()


startup.check()
