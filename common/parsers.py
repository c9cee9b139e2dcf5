"""What request bodies may be."""

import io
import json
import re
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

# JSON can escape one half of a surrogate pair; most pairs are whole, so this only says "look".
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")


class StrictJsonParser(JSONParser):
    """JSON that fits, and that neither its nesting nor half a character turns into a crash."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The body's value. Raises RequestDataTooBig and ParseError."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise RequestDataTooBig
        try:
            value = super().parse(io.BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error - nested too deeply") from None
        if _HALF_CHARACTER.search(body):
            _refuse_half_characters(value)
        return value


def _refuse_half_characters(value: Any) -> None:
    """Refuse text that neither PostgreSQL nor an answer of ours could hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ParseError("JSON parse error - half a character") from None
