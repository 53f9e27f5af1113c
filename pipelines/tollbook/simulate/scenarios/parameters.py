"""Parameters of scenarios: what there is, between which limits, and reading them from a command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from tollbook.errors import MisuseError

Values = Mapping[str, Decimal]
"""Parameter to its value."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number that a scenario leaves open.

    Attributes:
        name: Its name, with its unit where it has one.
        default: The published value, or one that goes with it.
        least: Smallest value.
        most: Largest value.
        meaning: What it is.
        places: Decimal places that it may have; none for a count.
    """

    name: str
    default: Decimal
    least: Decimal
    most: Decimal
    meaning: str
    places: int = 0

    @property
    def range_text(self) -> str:
        """The limits in words."""
        kind = "whole numbers" if not self.places else f"at most {self.places} decimals"
        return f"{plain(self.least)} to {plain(self.most)}, {kind}"

    def as_dict(self) -> dict[str, str | int]:
        """Return it for JSON: numbers as text."""
        return {
            "name": self.name,
            "default": plain(self.default),
            "least": plain(self.least),
            "most": plain(self.most),
            "places": self.places,
            "meaning": self.meaning,
        }

    def read(self, text: str) -> Decimal:
        """Return the value that a text gives.

        Raises:
            MisuseError: It is no number, out of range, or finer than the parameter is.
        """
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("nan")
        within = value.is_finite() and self.least <= value <= self.most
        if not within or value != round(value, self.places):
            raise MisuseError(
                f"expected --set {self.name} from {self.range_text} (default {plain(self.default)}), got {text!r}"
            )
        return value


def count(name: str, default: int, least: int, most: int, meaning: str) -> Parameter:
    """Return a parameter that is a whole number."""
    return Parameter(name, Decimal(default), Decimal(least), Decimal(most), meaning)


def amount(name: str, default: str, least: str, most: str, meaning: str, *, places: int = 2) -> Parameter:
    """Return a parameter that is a decimal."""
    return Parameter(name, Decimal(default), Decimal(least), Decimal(most), meaning, places)


def read_assignments(scenario: str, parameters: Sequence[Parameter], assignments: Sequence[str]) -> dict[str, Decimal]:
    """Return every parameter's value, in their order: the one set, else its default.

    Args:
        scenario: Name of the scenario.
        parameters: What it leaves open.
        assignments: `name=value` each.

    Raises:
        MisuseError: One is no assignment, names no parameter or one that is set already, or its value cannot be.
    """
    known = {each.name: each for each in parameters}
    chosen: dict[str, Decimal] = {}
    for assignment in assignments:
        name, sign, text = (part.strip() for part in assignment.partition("="))
        if not sign:
            raise MisuseError(f"expected --set as name=value, got {assignment!r}")
        if name not in known:
            told = "".join(
                f"\n  {each.name}: {each.range_text}, by default {plain(each.default)}" for each in parameters
            )
            raise MisuseError(f"expected a parameter of {scenario} in --set, got {name!r}; there are:{told}")
        if name in chosen:
            raise MisuseError(f"expected --set {name} once, got it again as {assignment!r}")
        chosen[name] = known[name].read(text)
    return {each.name: chosen.get(each.name, each.default) for each in parameters}


def plain(value: Decimal) -> str:
    """Return a number without an exponent and without zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
