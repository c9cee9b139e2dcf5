"""What machines ask: are you there, are you well, how much do you do."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from billing_project.operations import access, metrics, readiness


@require_safe
@never_cache
def health(_request: HttpRequest) -> HttpResponse:
    """This process answers; it says nothing of what it stands on."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """200 when requests may come, else 503; with ``?strict=1`` only when nothing is wrong.

    This machine, staff and holders of METRICS_TOKEN see each part; the rest see one word.
    """
    found = readiness.examine()
    is_ok = found.is_well if request.GET.get("strict") == "1" else found.is_ready
    answer: dict[str, object] = {"status": "ok" if is_ok else "not ok"}
    # Without the database nobody can be known as staff, nor asked for.
    if access.is_local(request) or (found.is_ready and access.may_see_details(request)):
        answer["parts"] = found.facts()
    response = JsonResponse(answer, status=200 if is_ok else 503)
    # Django would log each 503 as an error of ours; who asks knows, and alerts tell.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


@require_safe
@never_cache
def scrape(request: HttpRequest) -> HttpResponse:
    """Prometheus metrics, for this machine or with METRICS_TOKEN; else there is no such page."""
    if not (access.is_local(request) or access.has_token(request)):
        raise Http404
    return HttpResponse(metrics.render(), content_type=metrics.CONTENT_TYPE)
