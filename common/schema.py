"""OpenAPI: the error shape on every operation, the idempotency header where it is heard."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from common.idempotency import HEADER, Idempotency

_ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {
                    "type": "string",
                    "description": "For programs; stable.",
                    "example": "not_found",
                },
                "message": {"type": "string", "description": "A sentence for a person."},
                "fields": {
                    "type": "object",
                    "description": "What is wrong with single inputs, by dotted path.",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                },
                "details": {
                    "type": "object",
                    "description": (
                        "Of a limit that was reached (`limit`): what is `used`, `allowed` and "
                        "was `wanted`, in whole units or the smallest units of `asset`, when it "
                        "`resets_at`, and the page that offers more, `upgrade_url`. What is not "
                        "known is left out."
                    ),
                    "additionalProperties": True,
                    "properties": {
                        "limit": {"type": "string", "example": "spend_cap"},
                        "used": {"type": "integer"},
                        "allowed": {"type": "integer"},
                        "wanted": {"type": "integer"},
                        "asset": {"type": "string", "example": "CREDIT"},
                        "resets_at": {"type": "string", "format": "date-time"},
                        "upgrade_url": {"type": "string", "format": "uri"},
                    },
                },
                "request_id": {"type": "string", "description": "Name it when asking for help."},
            },
        }
    },
}

_ERROR_RESPONSE: dict[str, Any] = {
    "description": "Refused, or failed.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}

_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


class ApiSchema(AutoSchema):
    """Adds to an operation what our base view adds to it."""

    def get_description(self) -> str:  # type: ignore[override]  # as the generator calls it
        """What the view says, and which scopes a key needs for it."""
        text = str(super().get_description())
        scopes = getattr(self.view, "required_scopes", None)
        if isinstance(scopes, dict):
            scopes = scopes.get(self.method)
        if not scopes:
            return text
        return f"{text}\n\nScope: " + ", ".join(f"`{scope}`" for scope in scopes)

    def get_override_parameters(self) -> list[Any]:
        mode = getattr(self.view, "idempotency", Idempotency.OFF)
        if self.method != "POST" or mode is Idempotency.OFF:
            return []
        return [
            OpenApiParameter(
                HEADER,
                {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
                OpenApiParameter.HEADER,
                required=mode is Idempotency.REQUIRED,
                description=(
                    "1 to 255 visible ASCII characters. A repeat within 24 hours gets the first "
                    "answer again, with `Idempotent-Replayed: true`."
                ),
            )
        ]


def add_error_responses(
    result: dict[str, Any],
    generator: Any,  # noqa: ARG001
    request: Any,  # noqa: ARG001
    public: bool,  # noqa: ARG001, FBT001
) -> dict[str, Any]:
    """Post-processing hook: every operation may answer in the error shape."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = _ERROR_SCHEMA
    components.setdefault("responses", {})["Error"] = _ERROR_RESPONSE
    for path_item in result.get("paths", {}).values():
        for method, operation in path_item.items():
            if method in _METHODS:
                operation["responses"].setdefault(
                    "default", {"$ref": "#/components/responses/Error"}
                )
    return result
