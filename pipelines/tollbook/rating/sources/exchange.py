"""Exchange rates: what one unit of a currency is in USD, by dated rates that the customer gives.

A currency without a rate in force at an instant has none there. It is never guessed, and no rate is carried on after
its end or back before its beginning.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tollbook.errors import DocumentFault, ReferenceDataError
from tollbook.rating.schedule import SINCE_EVER, Steps, microseconds
from tollbook.reference.documents import Document, decimal_text, read_document, refuse

USD: Final = "USD"
NO_RATES: Final = "none"
_DIGEST_DIGITS: Final = 8
# A rate has at most 9 digits before the point and 12 after it, so amounts of a call times a rate fit int64 for long.
_LARGEST: Final = 10**9
_FINEST: Final = 10**12

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """What one unit of a currency is worth in `[valid_from, valid_to)`.

    Attributes:
        currency: ISO 4217 code.
        usd: US dollars for one unit of the currency, exact.
        valid_from: First instant it holds, in UTC; None for ever before.
        valid_to: First instant it no longer holds, in UTC; None while it is open.
        source: Page or document that says so.
        checked_on: Date it was last compared with `source`, as YYYY-MM-DD, where known.
    """

    currency: str
    usd: Fraction
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    source: str | None = None
    checked_on: str | None = None

    def __post_init__(self) -> None:
        if self.currency == USD:
            raise ReferenceDataError("exchange rate of USD: expected another currency, got the one all costs are in")
        if not 0 < self.usd <= _LARGEST or _FINEST % self.usd.denominator:
            raise self.fault(f"expected usd above 0, up to {_LARGEST}, of at most 12 decimals, got {self.usd}")
        for name in ("valid_from", "valid_to"):
            instant: datetime | None = getattr(self, name)
            if instant is not None and instant.utcoffset() is None:
                raise self.fault(f"expected {name} with a time zone, got {instant.isoformat()}")
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise self.fault(f"expected valid_from before valid_to, got {self.valid_from} and {self.valid_to}")

    def fault(self, message: str) -> ReferenceDataError:
        """Return an error that names this rate."""
        since = "ever" if self.valid_from is None else self.valid_from.isoformat()
        return ReferenceDataError(f"exchange rate of {self.currency} from {since}: {message}")


@dataclass(frozen=True, slots=True)
class RatesInForce:
    """What one unit of each amount's currency is worth, arrays of shape (n,).

    A rate is `whole + numerator / denominator` USD. Where `known` is False there is none, and the rest is meaningless.
    """

    known: npt.NDArray[np.bool_]
    whole: Indices
    numerator: Indices
    denominator: Indices


@dataclass(frozen=True, eq=False)
class ExchangeRates:
    """Dated exchange rates to USD. It pickles.

    Attributes:
        rates: The rates, in any order; those of one currency do not overlap, and may leave gaps.
    """

    rates: tuple[ExchangeRate, ...] = ()

    def __post_init__(self) -> None:
        for members in self._by_currency.values():
            for earlier, later in pairwise(members):
                if _stop(earlier) > _start(later):
                    raise later.fault(f"expected rates that do not overlap, got one in force from {earlier.valid_from}")

    @classmethod
    def of(cls, rates: Iterable[ExchangeRate]) -> ExchangeRates:
        """Return exchange rates.

        Raises:
            ReferenceDataError: Two rates of a currency overlap.
        """
        return cls(tuple(rates))

    @cached_property
    def version(self) -> str:
        """Digest of all that decides an amount; `none` without rates."""
        if not self.rates:
            return NO_RATES
        texts = sorted(f"{rate.currency} {rate.usd} {_start(rate)} {_stop(rate)}\n" for rate in self.rates)
        return hashlib.sha256("".join(texts).encode()).hexdigest()[:_DIGEST_DIGITS]

    def at(self, currency: str, moment: datetime) -> ExchangeRate | None:
        """Return the rate of a currency at an instant with a time zone; None where there is none, and for USD."""
        instant = microseconds(moment)
        return next((r for r in self._by_currency.get(currency, ()) if _start(r) <= instant < _stop(r)), None)

    def find(self, currencies: Sequence[str | None], place: Indices, occurred_at: Indices) -> RatesInForce:
        """Return the rates in force for a column of amounts.

        Args:
            currencies: Distinct currencies, ISO 4217.
            place: Place in `currencies` of each amount's currency, shape (n,).
            occurred_at: Instants, shape (n,). Unit: microseconds since 1970-01-01T00:00:00Z.
        """
        parent_of = np.array([self._parents.get(name, 0) for name in currencies] or [0], np.int64)
        steps, (known, whole, numerator, denominator) = self._compiled
        step = steps.find(parent_of[place], occurred_at)
        return RatesInForce(known[step], whole[step], numerator[step], denominator[step])

    @cached_property
    def _by_currency(self) -> dict[str, list[ExchangeRate]]:
        groups: defaultdict[str, list[ExchangeRate]] = defaultdict(list)
        for rate in sorted(self.rates, key=_start):
            groups[rate.currency].append(rate)
        return dict(groups)

    @cached_property
    def _parents(self) -> dict[str | None, int]:
        """Currency to its place among the parents of the steps; 0 is what has no rate, 1 is USD."""
        return {USD: 1, **{currency: place for place, currency in enumerate(self._by_currency, start=2)}}

    @cached_property
    def _compiled(self) -> tuple[Steps, tuple[Any, ...]]:
        one = Fraction(1)
        groups: list[list[tuple[int, Fraction | None]]] = [[(SINCE_EVER, None)], [(SINCE_EVER, one)]]
        groups += [_steps(members) for members in self._by_currency.values()]
        worths = [worth for group in groups for _, worth in group]
        exact = [one if worth is None else worth for worth in worths]
        wholes = [divmod(worth.numerator, worth.denominator) for worth in exact]
        return Steps([start for start, _ in group] for group in groups), (
            np.array([worth is not None for worth in worths]),
            np.array([whole for whole, _ in wholes], np.int64),
            np.array([rest for _, rest in wholes], np.int64),
            np.array([worth.denominator for worth in exact], np.int64),
        )


def read_exchange_rates(path: Path) -> ExchangeRates:
    """Return the exchange rates of a YAML document `exchange_rates: 1`.

    Raises:
        ReferenceDataError: It breaks its schema, or rates of one currency overlap. Every fault names file, line,
            field, value and rule, and nothing of the file is used.
    """
    document = read_document(path, "exchange_rates")
    faults: list[DocumentFault] = []
    rates: dict[int, ExchangeRate] = {}
    for place, body in enumerate(document.content["rates"]):
        wrong = _fault_of(document, place, body)
        if wrong is None:
            rates[place] = _rate(body)
        else:
            faults.append(wrong)
    refuse([*faults, *_overlaps(document, rates)])
    return ExchangeRates(tuple(rates.values()))


def _rate(body: dict[str, Any]) -> ExchangeRate:
    start, end = _period(body)
    usd = Fraction(decimal_text(body["usd"]))
    return ExchangeRate(body["currency"], usd, start, end, body["source"], body.get("checked_on"))


def _period(body: dict[str, Any]) -> tuple[datetime, datetime | None]:
    end = body.get("valid_to")
    return datetime.fromisoformat(body["valid_from"]), None if end is None else datetime.fromisoformat(end)


def _fault_of(document: Document, place: int, body: dict[str, Any]) -> DocumentFault | None:
    """Return what is wrong with a rate that the schema cannot tell."""
    start, end = _period(body)
    if body["currency"] == USD:
        return document.fault(["rates", place, "currency"], "expected another currency than USD, which needs no rate")
    if not decimal_text(body["usd"]):
        return document.fault(["rates", place, "usd"], "expected a rate above 0")
    if end is not None and end <= start:
        return document.fault(["rates", place, "valid_to"], "expected valid_to after valid_from")
    return None


def _overlaps(document: Document, rates: dict[int, ExchangeRate]) -> list[DocumentFault]:
    faults = []
    ordered = sorted(rates.items(), key=lambda item: (item[1].currency, _start(item[1])))
    for (first, earlier), (place, later) in pairwise(ordered):
        if earlier.currency == later.currency and _stop(earlier) > _start(later):
            rule = f"expected rates of {later.currency} that do not overlap, and rates/{first} is still in force"
            faults.append(document.fault(["rates", place, "valid_from"], rule))
    return faults


def _steps(rates: list[ExchangeRate]) -> list[tuple[int, Fraction | None]]:
    """Return when what holds for one currency, from the beginning of all on, None where nothing does."""
    steps: list[tuple[int, Fraction | None]] = []
    end = int(SINCE_EVER)
    for rate in rates:
        if _start(rate) > end:
            steps.append((end, None))
        steps.append((_start(rate), rate.usd))
        end = _stop(rate)
    if end != np.iinfo(np.int64).max:
        steps.append((end, None))
    return steps


def _start(rate: ExchangeRate) -> int:
    return int(SINCE_EVER) if rate.valid_from is None else microseconds(rate.valid_from)


def _stop(rate: ExchangeRate) -> int:
    return int(np.iinfo(np.int64).max) if rate.valid_to is None else microseconds(rate.valid_to)
