"""To which class of models a model belongs, and which generation of it it is.

Within one name a price changes; from one name to its successor an organisation moves. Both make a token cheaper, and
only the first is a price that fell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from tollbook.errors import ReferenceDataError
from tollbook.rating.model_names import model_name
from tollbook.rating.units import load_document

# A number, with letters such as `v3` or `4o` around it; sizes such as `70b` are no generation.
_NUMBER: Final = re.compile(r"^(?:v|k|m)?\d+(?:\.\d+)*[a-z]?$")
_SIZE: Final = re.compile(r"^\d+(?:\.\d+)?(?:b|x\d+b|k)$")


@dataclass(frozen=True, slots=True)
class Generation:
    """Where a model stands.

    Attributes:
        family: Class of models, such as `claude-sonnet`.
        generation: Generation in it, such as `4-5`.
    """

    family: str
    generation: str


@dataclass(frozen=True, slots=True)
class Generations:
    """The classes that are written down.

    Attributes:
        exact: Undated name of a model to where it stands.
        patterns: Names with `*`, in the order of the file.
    """

    exact: Mapping[str, Generation]
    patterns: tuple[tuple[str, Generation], ...]

    def find(self, model: str) -> Generation:
        """Return where a model stands, by any of its names."""
        name = model_name(model).undated
        known = self.exact.get(name)
        if known is None:
            known = next((each for pattern, each in self.patterns if fnmatchcase(name, pattern)), None)
        return known or _by_name(name)


@lru_cache(maxsize=1)
def load_generations() -> Generations:
    """Return the classes of `schemas/model_generations.yml`.

    Raises:
        ReferenceDataError: The file breaks its schema, or puts one model into two places.
    """
    exact: dict[str, Generation] = {}
    patterns: list[tuple[str, Generation]] = []
    for family, body in load_document("model_generations").items():
        for told in body["generations"]:
            place = Generation(family, told["generation"])
            for model in told["models"]:
                if "*" in model:
                    patterns.append((model, place))
                elif exact.setdefault(model, place) != place:
                    raise ReferenceDataError(
                        f"model_generations.yml: expected {model!r} in one generation, got {exact[model]} and {place}"
                    )
    return Generations(exact, tuple(patterns))


def _by_name(name: str) -> Generation:
    """Return the class that a name gives without its numbers; a name of nothing else is its own class."""
    parts = name.split("-")
    numbers = [part for part in parts if _NUMBER.match(part) and not _SIZE.match(part)]
    words = [part for part in parts if part not in numbers]
    if not words or not numbers:
        return Generation(name, name)
    return Generation("-".join(words), "-".join(numbers))
