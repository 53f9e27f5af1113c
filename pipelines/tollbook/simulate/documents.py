"""A simulation's reference files, in a folder from which a book can load them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tollbook.errors import MisuseError
from tollbook.simulate.organisation import OwnerRule, owners_document

OWNERS_FILE: Final = "owners.yml"
PRICES_FOLDER: Final = "prices"
"""Holds the overlay, which `tollbook prices load` reads; all beside the folder is for `tollbook reference load`."""


def write_reference(
    folder: Path,
    rules: Sequence[OwnerRule],
    documents: Mapping[str, Mapping[str, Any]],
    overlay: Mapping[str, Any] | None,
) -> None:
    """Write reference files into a folder, made if it is not there.

    Args:
        folder: A folder without reference files of another simulation.
        rules: The owner rules.
        documents: Reference files by kind.
        overlay: Prices of models that are made up.

    Raises:
        MisuseError: The folder holds files that this simulation does not write: loading all of it would load them too.
        OSError: A file cannot be written.
    """
    texts = {OWNERS_FILE: owners_document(rules)}
    texts |= {f"{kind}.yml": document_text(kind, document) for kind, document in documents.items()}
    if overlay is not None:
        texts[f"{PRICES_FOLDER}/{overlay['name']}.yml"] = document_text("price_overlay", overlay)
    others = sorted({path.relative_to(folder).as_posix() for path in folder.rglob("*.yml")} - texts.keys())
    if others:
        raise MisuseError(f"expected --reference to be a folder for this simulation alone, {folder} has {others[0]}")
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def document_text(kind: str, document: Mapping[str, Any]) -> str:
    """Return a document as YAML.

    Args:
        kind: Its kind, by which its schema is named.
        document: Mappings and lists, none of them empty, of text and whole numbers.
    """
    return "\n".join((f"# Shape: schemas/documents/{kind}.schema.json", *_lines(document))) + "\n"


def _lines(value: Mapping[str, Any] | Sequence[Any]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            if isinstance(each, str | int):
                yield f"{name}: {_scalar(each)}"
            else:
                yield f"{name}:"
                yield from (f"  {line}" for line in _lines(each))
        return
    for each in value:
        lines = [_scalar(each)] if isinstance(each, str | int) else _lines(each)
        for number, line in enumerate(lines):
            yield f"{'  ' if number else '- '}{line}"


def _scalar(value: str | int) -> str:
    """Return a scalar as YAML; text in double quotes, as JSON has it."""
    return json.dumps(value)
