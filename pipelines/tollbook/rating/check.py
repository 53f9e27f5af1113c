"""What price tables get wrong: the book in force against what was used, and price files before they are loaded.

Real price tables hold prices a factor of 100,000 off, cache reads dearer than plain input, names that nobody lowered
for a year. A wrong price is a wrong charge, so each finding names the price, what it should compare with, and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.checks.exchange import check_used
from tollbook.rating.checks.finding import NOTE, SEVERITIES, Finding, merged
from tollbook.rating.checks.order import check_order
from tollbook.rating.checks.peers import check_against, check_contracts, check_peers, check_snapshots
from tollbook.rating.checks.series import check_series
from tollbook.rating.checks.usage import used_models
from tollbook.rating.prices import Price
from tollbook.rating.sources.compose import compose
from tollbook.rating.sources.entries import Overlay
from tollbook.rating.sources.genai import PRICE_LIST
from tollbook.rating.used import UsedUnit

CHECK_DAYS: Final = 90
HEADINGS: Final = ("severity", "code", "provider", "model", "tier", "since", "until", "what")
"""Columns of `CheckResult.as_rows`."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    Attributes:
        findings: The findings, the gravest first.
        prices: Prices that were checked.
        compared_with: Version of the book they were compared with.
    """

    findings: tuple[Finding, ...]
    prices: int
    compared_with: str

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing but notes."""
        return all(each.severity == NOTE for each in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """Findings by severity."""
        found = Counter(each.severity for each in self.findings)
        return {severity: found[severity] for severity in SEVERITIES}

    def as_rows(self, *, notes: bool) -> list[tuple[str | None, ...]]:
        """Return the findings as rows of `HEADINGS`, with notes or without them."""
        return [
            (
                each.severity,
                each.code,
                each.provider,
                each.model,
                each.service_tier,
                None if each.valid_from is None else f"{each.valid_from:%Y-%m-%d}",
                None if each.valid_to is None else f"{each.valid_to:%Y-%m-%d}",
                each.message,
            )
            for each in self.findings
            if notes or each.severity != NOTE
        ]

    def sentence(self) -> str:
        """Return what was checked and found, in a sentence."""
        told = ", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in self.counts.items())
        return f"{self.prices:,} prices checked, {told} (compared with {self.compared_with})"

    def as_dict(self) -> dict[str, Any]:
        """Return the result for JSON, notes included."""
        return {
            "compared_with": self.compared_with,
            "prices": self.prices,
            "counts": self.counts,
            "findings": [each.as_dict() for each in self.findings],
        }


def check_book(
    book: PriceBook, used: Sequence[UsedUnit], *, now: datetime, every_price: bool = False, check_days: int = CHECK_DAYS
) -> CheckResult:
    """Check the book in force against what was used.

    Of the package's own catalogue only the models that were used are checked: what nobody uses costs nothing, and a
    list of its oddities would hide what matters. Our own prices and contracts are always checked.

    Args:
        book: The book in force.
        used: Usage by billing period, empty where none is known.
        now: The present.
        every_price: Check every price of the catalogue.
        check_days: A comparison with the source that is older is told.
    """
    prices = book.list_prices.prices
    own = [price for price in book.contracted.prices if price.contract_id is not None] if book.contracted else []
    wanted = used_models(used, book.list_prices) | {_model(price) for price in (*prices, *own) if _is_ours(price)}
    chosen = [price for price in prices if every_price or _model(price) in wanted]
    found = [
        *check_used(used, book),
        *check_order([*chosen, *own]),
        *check_series(chosen, today=now.date(), check_days=check_days),
        *check_peers(chosen, among=prices),
        *(each for each in check_snapshots(prices) if every_price or (each.provider, each.model) in wanted),
        *check_contracts(own, prices),
    ]
    return CheckResult(tuple(merged(found)), len(chosen) + len(own), book.version)


def check_prices(
    prices: Sequence[Price], reference: Catalogue, *, now: datetime, check_days: int = CHECK_DAYS
) -> CheckResult:
    """Check prices that are not in force, such as those of a file: by themselves and against the list prices in force.

    Args:
        prices: The prices.
        reference: List prices in force.
        now: The present.
        check_days: A comparison with the source that is older is told.
    """
    return CheckResult(
        findings=tuple(merged(_every_check(prices, reference, now, check_days))),
        prices=len(prices),
        compared_with=reference.version,
    )


def check_overlay(
    overlay: Overlay, others: Sequence[Overlay], base: Catalogue, *, now: datetime, check_days: int = CHECK_DAYS
) -> CheckResult:
    """Check the prices that an overlay makes, over the price list and the other overlays, against those without it.

    Args:
        overlay: The overlay, in force or not.
        others: The other overlays.
        base: The price list beneath.
        now: The present.
        check_days: A comparison with the source that is older is told.
    """
    beneath = compose(base, others)
    prices = compose(base, [*others, overlay]).prices
    made = [price for price in prices if _entry(price).startswith(f"{overlay.name}:")]
    touched = {_model(price) for price in made}
    series = [price for price in prices if _model(price) in touched]
    found = [
        *check_order(made),
        *check_series(series, today=now.date(), check_days=check_days),
        *check_peers(made, among=prices),
        *(each for each in check_snapshots(prices) if (each.provider, each.model) in touched),
        *check_against(made, beneath, now=now),
    ]
    return CheckResult(tuple(merged(found)), len(made), beneath.version)


def _every_check(prices: Sequence[Price], reference: Catalogue, now: datetime, check_days: int) -> Iterable[Finding]:
    yield from check_order(prices)
    yield from check_series(prices, today=now.date(), check_days=check_days)
    yield from check_peers(prices, among=reference.prices)
    yield from check_snapshots(prices)
    yield from check_against(prices, reference, now=now)


def _is_ours(price: Price) -> bool:
    return price.price_list != PRICE_LIST or price.origin is not None or price.uplift is not None


def _entry(price: Price) -> str:
    """Return the entry of an overlay that made a price; empty where none did."""
    return price.origin.entry if price.origin is not None else price.uplift.entry if price.uplift is not None else ""


def _model(price: Price) -> tuple[str, str]:
    return (price.provider, price.model)
