"""What a scenario is: its parameters, and the story that it makes of them: prices, documents, tasks, expectations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from tollbook.simulate.calls import Call
from tollbook.simulate.organisation import OwnerRule, Team
from tollbook.simulate.prices import PICO_USD_PER_USD, STANDARD, OwnPrices, Price
from tollbook.simulate.randomness import Chance
from tollbook.simulate.scenarios.parameters import Parameter, Values

PROVIDER: Final = "example"
"""Bills the models of scenarios; no price list knows it."""

KNOWN_SINCE: Final = "2020-01-01T00:00:00Z"
_PER_MILLION: Final = 1_000_000
_MICROSECONDS: Final = 1_000_000

Document = Mapping[str, Any]
"""A reference file as mappings, lists and scalars."""


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month, UTC.

    Attributes:
        start: Its first moment.
        end: That of the month after.
    """

    start: datetime
    end: datetime

    @property
    def start_us(self) -> int:
        """Unit: Microseconds since 1970-01-01T00:00:00Z."""
        return int(self.start.timestamp()) * _MICROSECONDS

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.start).days

    @property
    def first_day(self) -> str:
        """Such as `2026-08-01`, as marts name a billing period."""
        return self.start.date().isoformat()

    @property
    def name(self) -> str:
        """Such as `2026-08`, as documents name it."""
        return self.first_day[:7]


@dataclass(frozen=True, slots=True)
class Rates:
    """What a model's tokens cost. Unit: USD for a million tokens."""

    uncached_input: Decimal
    cache_read: Decimal
    cache_write: Decimal
    output: Decimal

    def times(self, factor: Decimal) -> Rates:
        """Return these rates multiplied, exactly."""
        return Rates(*(each * factor for each in (self.uncached_input, self.cache_read, self.cache_write, self.output)))

    def document(self) -> dict[str, str]:
        """Return them by the rate keys of schemas/units.yml."""
        return {
            "input_tokens": f"{self.uncached_input:f}",
            "cache_read_tokens": f"{self.cache_read:f}",
            "cache_write_tokens": f"{self.cache_write:f}",
            "output_tokens": f"{self.output:f}",
        }

    def price(self, valid_from: datetime | None) -> Price:
        """Return them as a price from a moment on."""
        since = None if valid_from is None else int(valid_from.timestamp()) * _MICROSECONDS
        write = _each(self.cache_write)
        return Price(
            since, 0, _each(self.uncached_input), _each(self.cache_read), write, write, _each(self.output), None
        )


@dataclass(frozen=True, slots=True)
class PricedModel:
    """A model that a scenario makes up.

    Attributes:
        name: Its name.
        rates: From when which rates hold, in the order of time; None for from the beginning.
    """

    name: str
    rates: tuple[tuple[datetime | None, Rates], ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a scenario's story is made of.

    Attributes:
        values: Parameters.
        months: Over which months it goes.
        chance: Where chance comes from.
    """

    values: Values
    months: Sequence[Month]
    chance: Chance

    def whole(self, name: str) -> int:
        """Return a parameter that is a count."""
        return int(self.values[name])


@dataclass(frozen=True, slots=True)
class Task:
    """A run of a workflow.

    Attributes:
        start_us: When it begins. Unit: Microseconds since 1970-01-01T00:00:00Z.
        calls: Its calls in the order of time; all of them count.
    """

    start_us: int
    calls: Sequence[Call]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a mart must hold.

    Attributes:
        mart: Schema and table.
        where: Column to value: the rows that are told, all of them.
        key: Columns that tell these rows apart.
        rows: Each row's key and amounts: whole numbers, and decimals as text with every digit.
        within: Column to how far the mart may be off, a decimal as text; others must be equal. A row that is not there
            stands for zeros in such columns.
    """

    mart: str
    where: Mapping[str, str]
    key: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    within: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as the truth file has it."""
        return {
            "mart": self.mart,
            "where": dict(self.where),
            "key": list(self.key),
            "within": dict(self.within),
            "rows": [dict(row) for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of a story.

    Attributes:
        figures: The case in a few numbers, as they came out: name to decimal as text.
        marts: What marts must hold.
    """

    figures: Mapping[str, str]
    marts: Sequence[Expected]


@dataclass(frozen=True, slots=True)
class Story:
    """What comes of a scenario's parameters.

    Attributes:
        team: Who does the work.
        workflows: What it does.
        models: Models that it uses, with prices of their own.
        documents: Reference files by kind.
        tasks: Its tasks in the order of their begin; made as they are asked for.
        findings: What came of it, once every task was made.
        planned_calls: How many calls that is.
    """

    team: Team
    workflows: Sequence[str]
    models: Sequence[PricedModel]
    documents: Mapping[str, Document]
    tasks: Iterator[Task]
    findings: Callable[[], Findings]
    planned_calls: int

    @property
    def rules(self) -> tuple[OwnerRule, ...]:
        """Who owns the usage."""
        return tuple(OwnerRule(f"workflow-{name}", "workflow", name, self.team) for name in self.workflows)

    @property
    def prices(self) -> OwnPrices:
        """What calls cost."""
        return prices_of(self.models)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A published case.

    Attributes:
        name: What it is called by.
        summary: What happens, in a sentence.
        parameters: What it leaves open; the defaults are the published case.
        fewest_months: How many months it needs, and has unless told otherwise.
        make: Makes the story.
    """

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    fewest_months: int
    make: Callable[[Setting], Story]

    def as_dict(self) -> dict[str, Any]:
        """Return it without its story, for JSON."""
        return {
            "name": self.name,
            "summary": self.summary,
            "fewest_months": self.fewest_months,
            "parameters": [each.as_dict() for each in self.parameters],
        }


def prices_of(models: Sequence[PricedModel]) -> OwnPrices:
    """Return what models cost at the standard tier."""
    return {
        (PROVIDER, model.name, STANDARD): tuple(rates.price(since) for since, rates in model.rates) for model in models
    }


def overlay_document(name: str, models: Sequence[PricedModel]) -> Document:
    """Return the price overlay that tells a book what models cost.

    Args:
        name: Name of the overlay.
        models: The models.
    """
    entries = []
    for model in models:
        ends = [since for since, _ in model.rates[1:]]
        for number, ((since, rates), until) in enumerate(zip(model.rates, [*ends, None], strict=True), start=1):
            entry: dict[str, Any] = {"entry_id": f"{model.name}-{number}", "provider": PROVIDER, "model": model.name}
            entry |= {"rates": rates.document()}
            entry |= {} if since is None else {"valid_from": _instant(since)}
            entry |= {} if until is None else {"valid_to": _instant(until)}
            entries.append(entry | {"known_from": KNOWN_SINCE, "source": f"tollbook simulate --scenario {name}"})
    return {"price_overlay": 1, "name": name, "entries": entries}


def entry(entry_id: str, **told: Any) -> dict[str, Any]:
    """Return an entry of dated reference data."""
    return {"entry_id": entry_id, **told, "known_from": KNOWN_SINCE, "author": "simulation", "reason": "Simulated"}


def usd(pico_usd: int | Fraction) -> str:
    """Return pico-USD as text of USD with twelve places, rounded half-even where there is a fraction."""
    return scaled(pico_usd, 12)


def scaled(units: int | Fraction, places: int) -> str:
    """Return units of the last of some decimal places as text, rounded half-even where there is a fraction."""
    whole = round(units)
    digits = f"{abs(whole):0{places + 1}d}"
    return f"{'-' if whole < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def ratio(numerator: int, denominator: int, places: int = 12) -> str:
    """Return a quotient as text, rounded half-even."""
    return scaled(Fraction(numerator * 10**places, denominator), places)


def half_up(numerator: int, denominator: int) -> int:
    """Return a quotient of two numbers of zero and more as a whole number, halves rounded up."""
    return (2 * numerator + denominator) // (2 * denominator)


def _each(usd_per_million: Decimal) -> Fraction | int:
    """Return the price of one token. Unit: pico-USD."""
    rate = Fraction(usd_per_million) * PICO_USD_PER_USD / _PER_MILLION
    return rate.numerator if rate.denominator == 1 else rate


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
