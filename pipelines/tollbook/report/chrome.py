"""What every page is made of: one HTML file that holds all it needs, and that the browser keeps from reaching out."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

_SCRIPT_END = re.compile(r"<(?=/script|!--)", re.IGNORECASE)


def document(title: str, *, styles: Sequence[str], body: Sequence[str], data: str, scripts: Sequence[str]) -> str:
    """Return a page. Its policy lets the browser run these very scripts, and load nothing.

    Args:
        title: Its title, as text.
        styles: Style sheets, in order.
        body: HTML of its body.
        data: HTML of elements that hold data for the scripts.
        scripts: Scripts, in order; plotly comes before them.

    Raises:
        ValueError: A script would end its own element.
    """
    run = [_plotly(), *map(_contained, scripts)]
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {' '.join(map(_hash, run))}"
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            '<link rel="icon" href="data:,">',
            f"<title>{html.escape(title)}</title>",
            *(f"<style>\n{style}</style>" for style in styles),
            "</head>",
            "<body>",
            *body,
            data,
            *(f"<script>{script}</script>" for script in run),
            "</body>",
            "</html>",
            "",
        ]
    )


def data_element(name: str, value: Any) -> str:
    """Return an element that holds a value as JSON, which cannot end the element; decimals are JSON numbers.

    Args:
        name: Id of the element.
        value: What msgspec can encode.
    """
    text = msgspec.json.Encoder(decimal_format="number").encode(value).decode("utf-8")
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="{name}">{text}</script>'


def write_whole(path: Path, page: str) -> int:
    """Write a page that appears whole or not at all, in place of the one before; return its size.

    Returns:
        Unit: Bytes.
    """
    content = page.encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
    return len(content)


def resource(name: str, package: str = "tollbook.report") -> str:
    """Return the text of a file that lies beside the code."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return _contained(get_plotlyjs())


def _contained(script: str) -> str:
    if _SCRIPT_END.search(script):
        raise ValueError("expected a script without an end of a script element in it")
    return script
