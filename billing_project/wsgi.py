"""The WSGI application, for any server; ``billing_project.web`` serves it with granian."""

from billing_project import startup

startup.check(startup.SERVING_TAG)

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()
