"""One page of text as a PDF: enough for an invoice to be kept."""

from __future__ import annotations

from collections.abc import Sequence

HEAD = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
PAGE = (
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
    b"/Resources << /Font << /F1 5 0 R >> >> >>"
)
FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>"


def page(lines: Sequence[str]) -> bytes:
    """A4, Courier, one line under the other; what WinAnsi cannot write becomes a question mark."""
    shown = b"\n".join(b"(" + _escaped(line) + b") Tj T*" for line in lines)
    text = b"BT /F1 10 Tf 14 TL 50 790 Td\n" + shown + b"\nET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        PAGE,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        FONT.encode(),
    ]
    body, places = bytearray(HEAD), []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(body)
    body += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    body += b"".join(b"%010d 00000 n \n" % place for place in places)
    body += b"trailer << /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    body += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(body)


def _escaped(line: str) -> bytes:
    plain = line.replace("−", "-").replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return plain.encode("cp1252", "replace")
