"""The OpenAPI document."""

from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

pytestmark = pytest.mark.urls("tests.common.probe")


@pytest.fixture
def schema() -> dict[str, Any]:
    generator: Any = SchemaGenerator
    return dict(generator(urlconf="tests.common.probe").get_schema(request=None, public=True))


def operation(schema: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    return dict(schema["paths"][f"/api/probe/{path}"][method])


def headers_of(operation: dict[str, Any]) -> dict[str, bool]:
    """The header parameters of an operation, and whether each is required."""
    return {
        parameter["name"]: parameter.get("required", False)
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "header"
    }


def test_the_document_is_valid(schema: dict[str, Any]) -> None:
    validate: Any = validate_schema
    validate(schema)


def test_every_operation_may_answer_in_the_error_shape(schema: dict[str, Any]) -> None:
    for path in schema["paths"].values():
        for described in path.values():
            assert described["responses"]["default"] == {"$ref": "#/components/responses/Error"}
    error = schema["components"]["schemas"]["Error"]["properties"]["error"]
    assert set(error["properties"]) == {"code", "message", "fields", "details", "request_id"}


def test_the_idempotency_header_is_named_where_it_is_heard(schema: dict[str, Any]) -> None:
    heard = {
        path: headers_of(operation(schema, path, method))
        for path, method in (
            ("work", "post"),
            ("careful", "post"),
            ("secretive", "post"),
            ("keys", "get"),
        )
    }

    assert heard == {
        "work": {"Idempotency-Key": False},
        "careful": {"Idempotency-Key": True},
        "secretive": {},
        "keys": {},
    }


def test_both_ways_to_sign_in_are_named(schema: dict[str, Any]) -> None:
    assert {"apiKey", "session"} <= set(schema["components"]["securitySchemes"])
    assert schema["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


@pytest.mark.django_db
def test_everybody_may_read_it() -> None:
    assert Client().get("/api/schema").status_code == 200
    assert Client().get("/api/docs").status_code == 200
