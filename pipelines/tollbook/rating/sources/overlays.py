"""Price overlays: files of our own prices, names and uplifts over those of the price list.

The shape is `schemas/documents/price_overlay.schema.json`, whose descriptions are the manual; examples are in
`schemas/examples/prices/`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, time
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from tollbook.errors import DocumentFault, ReferenceDataError
from tollbook.rating.money import PICO_PER_USD
from tollbook.rating.prices import Price
from tollbook.rating.sources.entries import (
    AliasEntry,
    Entry,
    Layer,
    Overlay,
    PriceEntry,
    UpliftEntry,
    Window,
    Withdrawal,
    overlapping,
)
from tollbook.rating.sources.price_limits import PRICE_LIMITS
from tollbook.rating.units import DEFAULT_TIER, load_names, load_units
from tollbook.reference.documents import Document, Step, read_document, refuse

_KINDS: Final = ("entries", "aliases", "region_uplifts", "withdrawals")
_LARGEST_MULTIPLIER: Final = 100


def read_overlays(folder: Path) -> tuple[Overlay, ...]:
    """Return the overlays of a folder, in the order of their names; none when there is no folder.

    Raises:
        ReferenceDataError: A file breaks its schema or contradicts itself, or two bear one name.
    """
    files = sorted(path for path in folder.glob("*.y*ml") if path.suffix in {".yml", ".yaml"})
    overlays = sorted(map(read_overlay, files), key=lambda overlay: overlay.name)
    names: dict[str, Path] = {}
    for overlay in overlays:
        if names.setdefault(overlay.name, overlay.path) != overlay.path:
            raise ReferenceDataError(
                f"expected one overlay of each name, got {overlay.name} in {names[overlay.name]} and {overlay.path}"
            )
    return tuple(overlays)


def read_overlay(path: Path) -> Overlay:
    """Return the overlay of a file.

    Raises:
        ReferenceDataError: It breaks its schema, or says what cannot be; every fault is listed.
    """
    document = read_document(path, "price_overlay")
    return _Reader(document).overlay()


class _Reader:
    """Turns a document that keeps its schema into an overlay, and notes what the schema cannot say."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._faults: list[DocumentFault] = []
        self._name: str = document.content["name"]
        self._names = load_names()
        self._lines: dict[str, int] = {}

    def overlay(self) -> Overlay:
        """Return the overlay, or refuse it with all its faults."""
        content: dict[str, Any] = self._document.content
        told = self._told(content)
        entries: list[Entry] = []
        for kind, read in (("entries", self._price), ("aliases", self._alias), ("region_uplifts", self._uplift)):
            for place, body in enumerate(content.get(kind, ())):
                entries.append(read((kind, place), body))
        withdrawals = [
            self._withdrawal(("withdrawals", place), body, told)
            for place, body in enumerate(content.get("withdrawals", ()))
        ]
        refuse(self._faults)
        document = self._document
        return Overlay(
            self._name, document.path, tuple(entries), tuple(withdrawals), told, self._lines, document.source
        )

    def _told(self, content: dict[str, Any]) -> dict[str, str]:
        told: dict[str, str] = {}
        for kind in _KINDS:
            for place, body in enumerate(content.get(kind, ())):
                if body["entry_id"] in told:
                    self._note((kind, place, "entry_id"), "expected each entry_id once in an overlay")
                self._lines[body["entry_id"]] = self._document.line((kind, place))
                told[body["entry_id"]] = json.dumps({kind: body}, sort_keys=True)
        return told

    def _price(self, at: tuple[Step, ...], body: dict[str, Any]) -> Entry:
        windows = tuple(
            Window(
                time.fromisoformat(each["from"]), time.fromisoformat(each["to"]), self._layer((*at, "daily", n), each)
            )
            for n, each in enumerate(body.get("daily", ()))
        )
        for n, window in enumerate(windows):
            if window.start == window.end:
                self._note((*at, "daily", n, "to"), "expected another time than `from`")
        if overlapping(windows):
            self._note((*at, "daily"), "expected times of day that do not overlap")
        tier = self._names.service_tier(body.get("service_tier", DEFAULT_TIER))
        if tier is None:
            known = ", ".join(self._names.tier_contexts)
            self._note((*at, "service_tier"), f"expected one of the service tiers {known}")
        for unit in body.get("minimum_quantities", ()):
            if unit not in load_units().places:
                self._note((*at, "minimum_quantities", unit), "expected a unit of units.yml", came=repr(unit))
        exact = "model" in body
        return PriceEntry(
            **self._common(at, body),
            models=(body["model"],) if exact else tuple(body["models"]),
            exact=exact,
            layer=self._layer(at, body),
            service_tier=tier or DEFAULT_TIER,
            windows=windows,
            minimum_quantities=body.get("minimum_quantities", {}),
            replace=body.get("replace", False),
        )

    def _alias(self, at: tuple[Step, ...], body: dict[str, Any]) -> Entry:
        means = body["means"]
        return AliasEntry(
            **self._common(at, body),
            alias=body["alias"].strip(),
            means_provider=self._names.provider(means.get("provider", body["provider"])),
            means_model=means["model"],
        )

    def _uplift(self, at: tuple[Step, ...], body: dict[str, Any]) -> Entry:
        multiplier = Fraction(body["multiplier"])
        if not 0 < multiplier <= _LARGEST_MULTIPLIER:
            rule = f"expected a multiplier above 0, of at most {_LARGEST_MULTIPLIER}"
            self._note((*at, "multiplier"), rule)
        for n, key in enumerate(body.get("rates", ())):
            self._check_key((*at, "rates", n), key)
        return UpliftEntry(
            **self._common(at, body),
            models=tuple(body["models"]),
            regions=tuple(region.lower() for region in body["regions"]),
            multiplier=multiplier,
            rates=frozenset(body.get("rates", load_units().token_rates)),
        )

    def _withdrawal(self, at: tuple[Step, ...], body: dict[str, Any], told: dict[str, str]) -> Withdrawal:
        if body["withdraws"] not in told:
            self._note((*at, "withdraws"), "expected the entry_id of an entry of this overlay")
        return Withdrawal(
            f"{self._name}:{body['entry_id']}", f"{self._name}:{body['withdraws']}", _instant(body["known_from"])
        )

    def _common(self, at: tuple[Step, ...], body: dict[str, Any]) -> dict[str, Any]:
        valid_from, valid_to = (
            None if body.get(name) is None else _instant(body[name]) for name in ("valid_from", "valid_to")
        )
        if valid_from is not None and valid_to is not None and valid_from >= valid_to:
            self._note((*at, "valid_to"), f"expected an instant after valid_from, {body['valid_from']}")
        return {
            "entry": f"{self._name}:{body['entry_id']}",
            "provider": self._names.provider(body["provider"]),
            "known_from": _instant(body["known_from"]),
            "valid_from": valid_from,
            "valid_to": valid_to,
            "place": f"{self._document.path}:{self._document.line(at)}",
            **{name: body.get(name) for name in ("source", "checked_on", "author", "reason")},
        }

    def _layer(self, at: tuple[Step, ...], body: dict[str, Any]) -> Layer:
        contexts: list[tuple[int | None, dict[str, Fraction]]] = [
            (None, self._rates((*at, "rates"), body.get("rates", {})))
        ]
        before = 0
        for n, each in enumerate(body.get("above_input_tokens", ())):
            place = (*at, "above_input_tokens", n)
            if each["tokens"] <= before:
                self._note((*place, "tokens"), f"expected more tokens than the {before} before it")
            before = each["tokens"]
            contexts.append((before, self._rates((*place, "rates"), each["rates"])))
        return Layer(tuple(contexts))

    def _rates(self, at: tuple[Step, ...], told: dict[str, str]) -> dict[str, Fraction]:
        rates = {}
        for key, text in told.items():
            if self._check_key((*at, key), key):
                rate = rates[key] = Fraction(text) * PICO_PER_USD / load_units().amounts[key]
                try:
                    Price(provider="", model="", rates={key: rate})
                except ReferenceDataError:
                    self._note((*at, key), f"expected a price of 0 or more, {PRICE_LIMITS}")
        return rates

    def _check_key(self, at: tuple[Step, ...], key: str) -> bool:
        known = key in load_units().amounts
        if not known:
            self._note(
                at,
                f"expected one of the rate keys of units.yml, {', '.join(sorted(load_units().amounts))}",
                came=repr(key),
            )
        return known

    def _note(self, at: Sequence[Step], rule: str, *, came: str | None = None) -> None:
        self._faults.append(self._document.fault(at, rule, came=came))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
