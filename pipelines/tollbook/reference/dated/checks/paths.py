"""Inference paths: what prices an offer, figures above nothing, shares, and workflows in one workload at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tollbook.errors import DocumentFault
from tollbook.reference.dated.checks import Entries, Others
from tollbook.reference.dated.checks.amounts import amount_at, not_below_zero
from tollbook.reference.dated.entries import DatedEntry
from tollbook.reference.documents import Step

_AMOUNTS: Final = {
    "metered": ("input", "cache_read", "cache_write", "output"),
    "rented": ("hourly_rate",),
    "owned": ("purchase_price", "residual_value"),
    "fleet": (),
}
_DEVICES: Final = ("accelerator", "accelerators")
_RATES: Final = ("output_tokens_per_second", "input_tokens_per_second")


def check_paths(entries: Entries, others: Others) -> Iterator[DocumentFault]:
    """Yield amounts and shares out of range, offers without what prices them, and workflows of two workloads."""
    for entry in entries:
        if "offer" in entry.body:
            yield from _offer(entry, others)
        for name in _RATES:
            if name in entry.body.get("throughput", {}):
                yield from _above_zero(entry, ("throughput", name))
        for what in ("workload", "assumptions"):
            if "utilisation" in entry.body.get(what, {}):
                yield from _above_zero(entry, (what, "utilisation"), at_most_one=True)
        if "api_price_decline_per_year" in entry.body.get("assumptions", {}):
            where = ("assumptions", "api_price_decline_per_year")
            if not 0 <= amount_at(entry, where) < 1:
                yield entry.fault(where, "expected a share of 0 or more and below 1")
    yield from _workflows([entry for entry in entries if "workload" in entry.body])


def _offer(entry: DatedEntry, others: Others) -> Iterator[DocumentFault]:
    offer = entry.body["offer"]
    kind = next(each for each in _AMOUNTS if each in offer)
    yield from _keys(entry, _DEVICES, kind, needed=kind != "metered")
    yield from _keys(entry, ("currency",), kind, needed=kind != "fleet")
    if offer["path"] == "model_api" and kind != "metered":
        yield entry.fault(("offer", "path"), "expected another path than model_api, which is priced by the token")
    for name in _AMOUNTS[kind]:
        if name in offer[kind]:
            yield from not_below_zero(entry, ("offer", kind, name))
    if kind == "fleet":
        fleets = {each.body["fleet_id"] for each in others.get("fleets", ())}
        if fleets and offer["fleet"] not in fleets:
            yield entry.fault(("offer", "fleet"), "expected a fleet in use, found none")
    if kind == "owned":
        yield from _owned(entry)


def _owned(entry: DatedEntry) -> Iterator[DocumentFault]:
    owned = entry.body["offer"]["owned"]
    for place in range(len(owned.get("running", ()))):
        yield from not_below_zero(entry, ("offer", "owned", "running", place, "amount"))
    price, left = ("offer", "owned", "purchase_price"), ("offer", "owned", "residual_value")
    if "residual_value" in owned and amount_at(entry, left) > amount_at(entry, price):
        yield entry.fault(left, "expected no more than the purchase price")


def _keys(entry: DatedEntry, names: Sequence[str], kind: str, *, needed: bool) -> Iterator[DocumentFault]:
    for name in names:
        if needed and name not in entry.body["offer"]:
            yield entry.fault(("offer",), f"expected the key {name!r} beside {kind}, got none", came="")
        elif not needed and name in entry.body["offer"]:
            yield entry.fault(("offer", name), f"expected none beside {kind}")


def _above_zero(entry: DatedEntry, where: Sequence[Step], *, at_most_one: bool = False) -> Iterator[DocumentFault]:
    amount = amount_at(entry, where)
    if amount <= 0 or (at_most_one and amount > 1):
        rule = "expected a share above 0 and at most 1" if at_most_one else "expected more than nothing"
        yield entry.fault(where, rule)


def _workflows(entries: Sequence[DatedEntry]) -> Iterator[DocumentFault]:
    """Yield workflows that two workloads have at one time; a workload has the workflow of its own name too."""
    held: dict[str, list[DatedEntry]] = {}
    for entry in entries:
        told = entry.body["workload"]
        names = [told["workload"], *(name for name in told.get("workflows", ()) if name != told["workload"])]
        for name in names:
            for other in held.get(name, ()):
                if other.key != entry.key and other.meets(entry):
                    where: tuple[Step, ...] = ("workload", "workload")
                    if name != told["workload"]:
                        where = ("workload", "workflows", told["workflows"].index(name))
                    rule = f"expected each workflow in one workload at a time, but {other.entry_id} has {name!r} too"
                    yield entry.fault(where, rule)
            held.setdefault(name, []).append(entry)
