"""Why a price is what it is, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, overload

from tollbook.rating.money import PICO_PER_USD, usd
from tollbook.rating.prices import ANY_ACCOUNT
from tollbook.rating.rated import ESTIMATED, UNPRICED

if TYPE_CHECKING:
    from tollbook.rating.explain import PriceInForce


@overload
def written(moment: datetime) -> str: ...
@overload
def written(moment: None) -> None: ...
@overload
def written(moment: datetime | None) -> str | None: ...
def written(moment: datetime | None) -> str | None:
    """Return an instant as it is written, None for none."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def words(told: PriceInForce, *, now: datetime | None = None) -> list[str]:
    """Return in sentences why a price is what it is, and whose word that is.

    Args:
        told: The price.
        now: The present, with a time zone, by default that of the clock: what comes after it is yet to happen.
    """
    held = _held(told, now or datetime.now(UTC))
    return [*held, *(sentence for part in (_of_overlay, _of_region, _of_contract) for sentence in part(told))]


def _held(told: PriceInForce, now: datetime) -> Iterator[str]:
    if told.basis == UNPRICED:
        yield "This price has no rates, so usage by it has no cost."
    if told.basis == ESTIMATED:
        known, which = ("price", "it is") if told.price.agreement is None else ("list price", "it lies over")
        yield f"No {known} is known for this time; {which} the earliest known one, and a cost by it is an estimate."
    if told.price.above_input_tokens is not None:
        above = f"{told.price.above_input_tokens:,}"
        yield f"All tokens of a request with more than {above} input tokens are at these rates."
    if told.superseded is not None:
        took = "will take" if told.valid_from is not None and told.valid_from > now else "took"
        yield f"It {took} the place of {told.superseded} at {written(told.valid_from)}."
    if told.superseded_by is not None:
        was = "will be" if told.valid_to is not None and told.valid_to > now else "was"
        yield f"It {was} superseded by {told.superseded_by} at {written(told.valid_to)}."


def _of_overlay(told: PriceInForce) -> Iterator[str]:
    origin = told.price.origin
    if origin is None:
        return
    author = "" if origin.author is None else f", by {origin.author}"
    yield f"The entry {origin.entry}, known from {written(origin.known_from)}{author}, says {', '.join(origin.rates)}."
    if origin.reason is not None:
        yield f"Its reason: {origin.reason}"
    if origin.supersedes is not None:
        others = sorted(set(told.price.rates) - set(origin.rates))
        kept = f"; {', '.join(others)} are those of that price" if others else ""
        yield f"It lies over {origin.supersedes}{kept}."


def _of_region(told: PriceInForce) -> Iterator[str]:
    uplift = told.price.uplift
    if uplift is not None:
        factor = f"{usd(uplift.multiplier, per=PICO_PER_USD):f}"
        source = "" if uplift.source is None else f" (source: {uplift.source})"
        yield f"In the region {uplift.region} rates are {factor} times the others, by {uplift.entry}{source}."
    elif told.price.region is not None:
        yield f"In the region {told.price.region} nothing is added at this time."


def _of_contract(told: PriceInForce) -> Iterator[str]:
    agreement = told.price.agreement
    if agreement is None:
        return
    account = told.price.billing_account_id
    whom = "every account" if account in {None, ANY_ACCOUNT} else f"the account {account}"
    yield f"Agreed for {whom} by the contract {told.price.contract_id}, over {agreement.supersedes}:"
    for term, keys in agreement.terms.items():
        yield f"the term {term} says {', '.join(keys)}."
    if told.contract_author is not None:
        yield f"The contract is written by {told.contract_author}; its reason: {told.contract_reason}"
    if not agreement.rates:
        return  # A discount is on the list price, whatever the currency of the contract.
    if agreement.usd is None:
        lost = f" of {', '.join(agreement.rates)}" if told.price.rates else ""
        yield f"There is no exchange rate from {agreement.currency} at this time, so there is no price{lost}."
    elif agreement.usd != 1:
        since = "ever" if agreement.usd_since is None else written(agreement.usd_since)
        yield f"One {agreement.currency} is {usd(agreement.usd, per=PICO_PER_USD):f} USD since {since}."
