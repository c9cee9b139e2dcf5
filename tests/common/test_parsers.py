"""Bodies that are too large."""

import io

import pytest
from django.core.exceptions import RequestDataTooBig
from django.test import override_settings

from common.parsers import StrictJsonParser


class Endless(io.BytesIO):
    """A body that never ends; remembers how much of it was asked for."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0
        self.taken += size
        return b" " * size


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1_000)
def test_it_reads_no_more_than_the_limit() -> None:
    body = Endless()

    with pytest.raises(RequestDataTooBig):
        StrictJsonParser().parse(body)

    assert body.taken <= 1_001


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10)
def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert StrictJsonParser().parse(io.BytesIO(b'"12345678"')) == "12345678"
