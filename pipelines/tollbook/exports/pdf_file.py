"""Pages as a file of PDF 1.4: few objects, fonts that every reader has, the same bytes always."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Mapping, Sequence
from typing import Final

_AUTHOR: Final = "Tollbook"
# The second line has bytes that are no text, so that nobody takes the file for one.
_HEAD: Final = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"


def pdf_file(pages: Sequence[str], size: tuple[float, float], *, fonts: Mapping[str, str], title: str) -> bytes:
    """Return pages as a file.

    Args:
        pages: Operators of each page, ASCII.
        size: Width and height of a page. Unit: Points.
        fonts: PostScript name by the name that pages use; all are of the standard 14, in Windows-1252.
        title: What readers show above the pages, in any letters.
    """
    # Objects by number: the catalogue, the list of pages, what is told of the file, fonts, then two for each page.
    first = 4 + len(fonts)
    kids = " ".join(f"{first + 2 * place} 0 R" for place in range(len(pages)))
    named = " ".join(f"/{name} {number} 0 R" for number, name in enumerate(fonts, 4))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] /MediaBox [0 0 {size[0]:.2f} {size[1]:.2f}] "
        f"/Resources << /Font << {named} >> >> >>".encode(),
        f"<< /Title {_text(title)} /Author {_text(_AUTHOR)} /Producer {_text(_AUTHOR)} >>".encode(),
        *(
            f"<< /Type /Font /Subtype /Type1 /BaseFont /{font} /Encoding /WinAnsiEncoding >>".encode()
            for font in fonts.values()
        ),
    ]
    for place, page in enumerate(pages):
        content = zlib.compress(page.encode("ascii"))
        objects.append(f"<< /Type /Page /Parent 2 0 R /Contents {first + 2 * place + 1} 0 R >>".encode())
        objects.append(
            f"<< /Length {len(content)} /Filter /FlateDecode >>\nstream\n".encode() + content + b"\nendstream"
        )
    return _written(objects)


def _written(objects: Sequence[bytes]) -> bytes:
    """Return objects with the table of where each begins. Source: ISO 32000-1, 7.5."""
    parts, at, offsets = [_HEAD], len(_HEAD), []
    for number, body in enumerate(objects, 1):
        offsets.append(at)
        parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, body))
        at += len(parts[-1])
    count = len(objects) + 1
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    parts.append(
        f"xref\n0 {count}\n0000000000 65535 f \n{table}"
        f"trailer\n<< /Size {count} /Root 1 0 R /Info 3 0 R >>\nstartxref\n{at}\n%%EOF\n".encode()
    )
    return b"".join(parts)


def _text(text: str) -> str:
    """Return a text of any letters as a string of PDF."""
    return f"<{codecs.BOM_UTF16_BE.hex()}{text.encode('utf-16-be', 'replace').hex()}>"
