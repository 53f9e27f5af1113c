"""Putting a price overlay into use: whole or not at all, and only if it supersedes what it held and edits nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tollbook.errors import DocumentFault
from tollbook.lake.log import log_lock, sync_folder, write_synced
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.sources.compose import compose, missing
from tollbook.rating.sources.entries import Overlay, PriceEntry
from tollbook.rating.sources.overlays import read_overlay, read_overlays
from tollbook.reference.documents import refuse
from tollbook.reference.files import refuse_reference_data, refuse_unreadable


@dataclass(frozen=True, slots=True)
class LoadedOverlay:
    """An overlay that is in use now.

    Attributes:
        overlay: The overlay.
        path: Where it is.
        new: entry_ids that it did not hold before.
        version: Version of the list prices with it.
        notices: What it changes that its author may not have meant.
    """

    overlay: Overlay
    path: Path
    new: tuple[str, ...]
    version: str
    notices: tuple[str, ...]


def load_overlay(source: Path, folder: Path, price_list: Catalogue, *, now: datetime) -> LoadedOverlay:
    """Check an overlay and put it into use in place of the one of its name.

    Args:
        source: The file. It is read once: what was checked is what is put into use.
        folder: Folder of the overlays in use. Only one may be put there at a time; another waits.
        price_list: Prices without overlays.
        now: The time, with a time zone.

    Raises:
        MisuseError: It cannot be read.
        ReferenceDataError: It is of another kind, has a fault, drops or changes an entry that is in use, knows of the
            future, contradicts another overlay, or names a model that there is not. What is in use stays.
    """
    refuse_unreadable(source)
    refuse_reference_data(source)
    overlay = read_overlay(source)
    with log_lock(folder, wait=True):
        return _put(overlay, folder, price_list, now)


def _put(overlay: Overlay, folder: Path, price_list: Catalogue, now: datetime) -> LoadedOverlay:
    in_use = read_overlays(folder)
    before = next((each for each in in_use if each.name == overlay.name), None)
    others = [each for each in in_use if each.name != overlay.name]
    held: Mapping[str, str] = {} if before is None else before.told
    refuse([*_edits(overlay, held), *_future(overlay, now)])
    catalogue = compose(price_list, [*others, overlay])
    refuse([*_unanswered(compose(price_list, others), overlay, set(held))])
    path = folder / f"{overlay.name}.yml" if before is None else before.path
    temporary = path.with_name(f".{path.name}.tmp")
    write_synced(temporary, overlay.source)
    temporary.replace(path)
    sync_folder(folder)
    new = tuple(entry_id for entry_id in overlay.told if entry_id not in held)
    return LoadedOverlay(overlay, path, new, catalogue.version, tuple(_flattened(price_list, overlay, set(new))))


def _edits(overlay: Overlay, held: Mapping[str, str]) -> Iterator[DocumentFault]:
    """Yield what the overlay says otherwise than the file in use, or no longer."""
    for entry_id, told in held.items():
        if entry_id not in overlay.told:
            rule = "expected every entry in use to stay: it is superseded by a later one, or withdrawn, never dropped"
            yield DocumentFault(str(overlay.path), 1, entry_id, None, rule)
        elif overlay.told[entry_id] != told:
            rule = "expected the entry as it is in use: it is superseded by a later one, never edited"
            yield DocumentFault(str(overlay.path), overlay.lines[entry_id], entry_id, None, rule)


def _future(overlay: Overlay, now: datetime) -> Iterator[DocumentFault]:
    told = [(each.entry, each.known_from) for each in overlay.entries]
    for entry, known_from in told + [(each.entry, each.known_from) for each in overlay.withdrawals]:
        entry_id = entry.partition(":")[2]
        if known_from > now:
            rule = f"expected known_from not after now, {now:%Y-%m-%dT%H:%M:%SZ}"
            came = f"{known_from:%Y-%m-%dT%H:%M:%SZ}"
            yield DocumentFault(str(overlay.path), overlay.lines[entry_id], f"{entry_id}/known_from", came, rule)


def _unanswered(catalogue: Catalogue, overlay: Overlay, held: set[str]) -> Iterator[DocumentFault]:
    """Yield new entries that stand for no model, misspelt most likely; one that was loaded once may outlive a model."""
    for entry, what in missing(catalogue, overlay):
        entry_id = entry.entry.partition(":")[2]
        if entry_id not in held:
            yield DocumentFault(
                str(overlay.path), overlay.lines[entry_id], entry_id, None, f"expected {what}, found none"
            )


def _flattened(price_list: Catalogue, overlay: Overlay, new: set[str]) -> Iterator[str]:
    """Yield where a rate without tiers takes the place of one that rises with the length of context."""
    for entry in overlay.known(None):
        if not isinstance(entry, PriceEntry) or entry.entry.partition(":")[2] not in new:
            continue
        flat = {key for key in entry.keys if not any(key in rates for above, rates in entry.layer.contexts if above)}
        for (model, above), keys in sorted(_rising(price_list, entry).items()):
            if flat & keys:
                yield (
                    f"{entry.entry}: {', '.join(sorted(flat & keys))} of {model} now also hold above {above:,} input "
                    "tokens; above_input_tokens would tell them apart"
                )


def _rising(price_list: Catalogue, entry: PriceEntry) -> dict[tuple[str, int], set[str]]:
    """Return model and input tokens to the rates that change above them, of the prices that an entry is for."""
    provider = price_list.lookup.provider(entry.provider)
    own = [price for price in price_list.prices if price.provider == provider and entry.covers(price.model)]
    own = [price for price in own if price.service_tier == entry.service_tier]
    plain = {(each.model, each.valid_from, each.daily_from): each for each in own if each.above_input_tokens is None}
    rising: dict[tuple[str, int], set[str]] = {}
    for price in own:
        below = plain.get((price.model, price.valid_from, price.daily_from))
        above = price.above_input_tokens
        if below is not None and above is not None and above not in entry.contexts:
            keys = {key for key, rate in price.rates.items() if rate != below.rates.get(key)}
            rising.setdefault((price.model, above), set()).update(keys)
    return rising
