"""Bodies that are too large, or are no text."""

import io

import pytest
from django.core.exceptions import RequestDataTooBig
from django.test import override_settings
from rest_framework.exceptions import ParseError

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


@pytest.mark.parametrize("body", [rb'{"\ud83d": 1}', rb'["\uDE00"]', rb'"\ude00\ud83d"'])
def test_half_a_character_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        StrictJsonParser().parse(io.BytesIO(body))


def test_both_halves_of_a_character_are_read() -> None:
    assert StrictJsonParser().parse(io.BytesIO(rb'"\ud83d\ude00 \\ud83d"')) == "😀 \\ud83d"
