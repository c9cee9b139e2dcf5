"""What every API view stands on: one error shape, strict JSON, repeatable POSTs."""

import logging
import uuid
from typing import Any, NoReturn

import structlog
from django.core import exceptions as django_errors
from django.core.signals import got_request_exception
from django.db import DatabaseError
from django.http import Http404, JsonResponse
from django.http.response import HttpResponseBase
from rest_framework import exceptions as drf_errors
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, set_rollback

from common.errors import BillingError, Forbidden, InvalidInput, NotFound
from common.idempotency import HEADER, Claim, Idempotency, KeyMissing, Replay, claim
from common.parsers import StrictJsonParser

logger = logging.getLogger(__name__)

UNEXPECTED = BillingError(
    "Something went wrong on our side. It has been noted.", code="internal_error", status=500
)

# The same request may work a moment later: not the last word on it.
_PASSING = frozenset({408, 425, 429})

_DRF_CODES = {
    drf_errors.NotAuthenticated: "not_authenticated",
    drf_errors.AuthenticationFailed: "authentication_failed",
    drf_errors.PermissionDenied: "forbidden",
    drf_errors.NotFound: "not_found",
    drf_errors.MethodNotAllowed: "method_not_allowed",
    drf_errors.NotAcceptable: "not_acceptable",
    drf_errors.UnsupportedMediaType: "unsupported_media_type",
    drf_errors.Throttled: "throttled",
    drf_errors.ParseError: "malformed_request",
}


class _AlreadyAnswered(Exception):
    def __init__(self, replay: Replay) -> None:
        super().__init__("answered before")
        self.replay = replay


class IdempotentView(APIView):
    """Makes the POST of a view repeatable; the claim comes after permissions and throttles."""

    idempotency = Idempotency.OPTIONAL
    claim: Claim | None = None

    @property
    def cause(self) -> str | None:
        """What to hand to a service as the name of this act; None without a key."""
        return self.claim.cause if self.claim else None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "POST" and self.idempotency is not Idempotency.OFF:
            self._claim(request)

    def handle_exception(self, exc: Exception) -> HttpResponseBase:  # type: ignore[override]
        if isinstance(exc, _AlreadyAnswered):
            return exc.replay.response()
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.claim is not None:
            _keep(self.claim, response)
        return response

    def _claim(self, request: Request) -> None:
        key = request.headers.get(HEADER)
        owner_id = _owner_id(request)
        if key is None or owner_id is None:
            if self.idempotency is Idempotency.REQUIRED:
                raise KeyMissing
            return
        outcome = claim(
            owner_id=owner_id,
            key=key.strip(),
            method=request.method or "",
            path=request.get_full_path(),
            body=request._request.body,
        )
        if isinstance(outcome, Replay):
            raise _AlreadyAnswered(outcome)
        self.claim = outcome


def _owner_id(request: Request) -> uuid.UUID | None:
    customer = getattr(request, "customer", None)
    owner = customer or request.user
    return owner.pk if owner is not None else None


def _keep(held: Claim, response: Any) -> None:
    """Store a final answer; give the key back after anything that may pass."""
    try:
        if hasattr(response, "render") and not response.is_rendered:
            response.render()
        if response.streaming or response.status_code >= 500 or response.status_code in _PASSING:
            held.release()
        else:
            held.answer(response)
    except DatabaseError:
        # The work is done and its answer goes out; the lease runs out by itself.
        logger.exception("could not keep the answer of idempotency key %s", held.key_id)


class ApiView(IdempotentView, APIView):
    """The base of every API view.

    Errors have one shape. A POST honours ``Idempotency-Key`` unless the view sets
    ``idempotency = Idempotency.OFF``, as webhooks and answers that hold a secret must.
    """

    parser_classes = [StrictJsonParser]

    def get_exception_handler(self) -> Any:
        return exception_handler

    def permission_denied(
        self, request: Request, message: str | None = None, code: str | None = None
    ) -> NoReturn:
        """Refuse with the code of the permission that said no."""
        if request.authenticators and not request.successful_authenticator:
            raise drf_errors.NotAuthenticated
        raise Forbidden(message, code=code)


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response:
    """Answer any exception of an API view in the one error shape; never with its details."""
    refusal = as_refusal(exc)
    if refusal is None:
        _report(exc, context)
        refusal = UNEXPECTED
    set_rollback()
    return Response(error_body(refusal), status=refusal.status, headers=_headers_of(exc))


def error_body(refusal: BillingError) -> dict[str, Any]:
    """The error shape: ``{"error": {"code", "message", "fields"?, "details"?, "request_id"?}}``."""
    error: dict[str, Any] = {"code": refusal.code, "message": str(refusal.message)}
    if refusal.fields:
        error["fields"] = refusal.fields
    if refusal.details:
        error["details"] = refusal.details
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if request_id:
        error["request_id"] = request_id
    return {"error": error}


def error_response(refusal: BillingError) -> JsonResponse:
    """The error shape for what fails before, or outside, any API view."""
    return JsonResponse(error_body(refusal), status=refusal.status)


def as_refusal(exc: BaseException) -> BillingError | None:
    """What a caller may know of ``exc``; None when it is a bug of ours."""
    match exc:
        case BillingError():
            return exc
        case drf_errors.ValidationError():
            return _from_drf_validation(exc)
        case drf_errors.APIException():
            return _from_drf(exc)
        case Http404():
            return NotFound()
        case django_errors.PermissionDenied():
            return Forbidden()
        case django_errors.ValidationError():
            return _from_django_validation(exc)
        case django_errors.RequestDataTooBig():
            return BillingError("The request is too large.", code="too_large", status=413)
        case django_errors.BadRequest() | django_errors.SuspiciousOperation():
            return BillingError("The request is malformed.", code="malformed_request")
        case _:
            return None


def _from_drf(exc: drf_errors.APIException) -> BillingError:
    code = next((code for kind, code in _DRF_CODES.items() if isinstance(exc, kind)), None)
    detail = exc.detail if isinstance(exc.detail, str) else exc.default_detail
    own_code = getattr(exc.detail, "code", None)
    if code in (None, "forbidden", "authentication_failed") and own_code not in (
        None,
        exc.default_code,
    ):
        code = str(own_code)
    return BillingError(str(detail), code=code or str(exc.default_code), status=exc.status_code)


def _from_drf_validation(exc: drf_errors.ValidationError) -> BillingError:
    fields: dict[str, list[str]] = {}
    _flatten(exc.detail, "", fields)
    general = fields.pop("", []) + fields.pop("non_field_errors", [])
    message = " ".join(general) or str(InvalidInput.message)
    return InvalidInput(message, fields=fields)


def _from_django_validation(exc: django_errors.ValidationError) -> BillingError:
    if not hasattr(exc, "error_dict"):
        return InvalidInput(" ".join(exc.messages))
    fields = dict(exc.message_dict)
    general = fields.pop(django_errors.NON_FIELD_ERRORS, [])
    return InvalidInput(" ".join(general) or None, fields=fields)


def _flatten(detail: Any, path: str, into: dict[str, list[str]]) -> None:
    """Bring nested errors to dotted paths: ``items.0.amount``."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            _flatten(inner, f"{path}.{name}" if path else str(name), into)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            here = path if isinstance(inner, ErrorDetail) else f"{path}.{index}".lstrip(".")
            _flatten(inner, here, into)
    else:
        into.setdefault(path, []).append(str(detail))


def _headers_of(exc: Exception) -> dict[str, str]:
    headers = {}
    challenge = getattr(exc, "auth_header", None)
    if challenge:
        headers["WWW-Authenticate"] = str(challenge)
    wait_seconds = getattr(exc, "wait", None)
    if wait_seconds:
        headers["Retry-After"] = str(int(wait_seconds))
    return headers


def _report(exc: Exception, context: dict[str, Any]) -> None:
    request = context.get("request")
    django_request = getattr(request, "_request", request)
    view = context.get("view")
    logger.error("unexpected error in %s", type(view).__name__, exc_info=exc)
    got_request_exception.send(sender=type(view), request=django_request)
