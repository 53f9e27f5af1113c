"""Files that a command line names: whether they can be read, and whether the command is for their kind."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tollbook.errors import MisuseError, ReferenceDataError
from tollbook.reference.dated.kinds import KINDS
from tollbook.reference.documents import read_yaml

_REFERENCE_KINDS: Final = {
    "contract": "a contract",
    "exchange_rates": "exchange rates",
    "cost_policy": "a cost policy",
    "billing_calendar": "a billing calendar",
    **{name: kind.words for name, kind in KINDS.items()},
    "order": "owner rules",
}


def refuse_unreadable(path: Path) -> None:
    """Hold that a file that a command was told of can be read.

    Raises:
        MisuseError: It cannot: the command did not do what it is for.
    """
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise MisuseError(f"expected a file that can be read at {path}, got: {error.strerror}") from error


def refuse_reference_data(path: Path) -> None:
    """Hold that a file that should be a price overlay is not reference data, for which there is another command.

    Raises:
        ReferenceDataError: It is, or it is no YAML.
    """
    content = read_yaml(path).content
    keys = content if isinstance(content, dict) else {}
    kind = next((told for key, told in _REFERENCE_KINDS.items() if key in keys), None)
    if kind is not None and "price_overlay" not in keys:
        raise ReferenceDataError(f"expected a price overlay at {path}; this is {kind}: use `tollbook reference load`")
