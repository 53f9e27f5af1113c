"""What the name of a model says: the model itself without who serves it, and the date of a snapshot.

Price lists write one model in many ways: `us.anthropic.claude-3-5-haiku-20241022-v1:0`,
`vertex_ai/claude-3-5-haiku@20241022`, `openrouter/anthropic/claude-3-5-haiku-20241022`. A comparison needs one name for
it. Prices are never found by these names; that is the lookup's work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# Bedrock puts regions and vendors in front (`us.anthropic.`), and versions behind (`-v1:0`).
_VENDORS: Final = re.compile(r"^(?:[a-z]+\.)+(?=[a-z])")
_VERSION: Final = re.compile(r"-v\d+:\d+(?::\w+)?$")
_MOVING: Final = re.compile(r"[-@](?:latest|default|maas)$")
_DATE: Final = re.compile(r"[-@](20\d\d-\d\d-\d\d|20\d{6}|\d{4})$")
# What turns text into numbers, an order or a verdict is billed by input alone; embeddings go by the names of families.
_INPUT_ALONE: Final = re.compile(
    r"(?:^|[^a-z])(?:\w*embed\w*|rerank\w*|moderation|ada|bge|gte|e5|uae|voyage)(?:$|[^a-z])"
)
_FREE: Final = (":free", "-free")
_YEARS: Final = range(20, 40)
_MONTHS: Final = range(1, 13)
_DAYS: Final = range(1, 32)


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model's name, taken apart.

    Attributes:
        plain: The model as its vendor names it, lower case, with its snapshot's date and without who serves it.
        undated: The same without the date of the snapshot.
        snapshot: Date of the snapshot as it is written, digits alone: `20240806`, `0125`; None without one.
    """

    plain: str
    undated: str
    snapshot: str | None


@lru_cache(maxsize=65_536)
def model_name(model: str) -> ModelName:
    """Return the parts of a model's name."""
    plain = model.strip().rsplit("/", 1)[-1].lower()
    plain = _MOVING.sub("", _VERSION.sub("", _VENDORS.sub("", plain)))
    dated = _DATE.search(plain)
    if dated is None or not _is_date(dated[1]):
        return ModelName(plain.replace("@", "-"), plain.replace("@", "-"), None)
    undated = plain[: dated.start()].replace("@", "-")
    digits = dated[1].replace("-", "")
    return ModelName(f"{undated}-{dated[1]}", undated, digits)


def takes_input_alone(model: str) -> bool:
    """Return whether a model writes no tokens, by its name: embeddings, rerankers, moderation."""
    return _INPUT_ALONE.search(model.lower()) is not None


def is_free_variant(model: str) -> bool:
    """Return whether a vendor says by the name of a model that it is free, as OpenRouter does."""
    return model.lower().endswith(_FREE)


def _is_date(text: str) -> bool:
    """Return whether digits can be a date: `0125` is month and day, `2407` year and month, `8192` neither."""
    digits = text.replace("-", "")[-4:]
    first, second = int(digits[:2]), int(digits[2:])
    return (first in _MONTHS and second in _DAYS) or (first in _YEARS and second in _MONTHS)
