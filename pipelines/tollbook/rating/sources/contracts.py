"""The folder of contracts: which files are in force, and putting one into use.

A contract is superseded, never edited: what changes is a new file with the same `contract_id` and a later `known_from`.
Of the files of one contract the one that was known last is in force, so that any knowledge time can be asked for.
Nothing of a file with a fault is used, and nothing of a folder with one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from tollbook.errors import DocumentFault
from tollbook.lake.log import log_lock, sync_folder, write_synced
from tollbook.rating.book import PriceBook
from tollbook.rating.contract_terms import Contract
from tollbook.rating.sources.contract_documents import VERSION_DIGITS, Pair, ProviderOf, read_contract, read_pair
from tollbook.rating.sources.contract_notices import without_effect
from tollbook.rating.sources.superseded import taken_back, uncovered
from tollbook.reference.documents import Document, refuse

NO_CONTRACTS: Final = "none"


@dataclass(frozen=True, slots=True)
class LoadedContract:
    """A contract that is in use now.

    Attributes:
        contract: The contract.
        path: Where it lies.
        notices: What its author may not have meant: terms that reach nothing, and what it takes back.
    """

    contract: Contract
    path: Path
    notices: tuple[str, ...] = ()


def read_contracts(folder: Path, provider_of: ProviderOf | None = None, *, as_of: datetime) -> tuple[Contract, ...]:
    """Return the contracts of a folder's YAML files, by name; none where there is no folder.

    Args:
        folder: Where they lie.
        provider_of: Gives the price list's name of a provider; by default by its aliases alone.
        as_of: Knowledge time, with a time zone: what was learned later is not known.

    Raises:
        ReferenceDataError: A file has a fault, two files tell of one contract at one knowledge time, or two contracts
            cover one model of one account at one time.
    """
    documents = _read(folder, provider_of)
    _refuse_twice(documents)
    in_force = _newest(pair for pair in documents if pair[0].known_from <= as_of)
    refuse([fault for place, later in enumerate(in_force) for fault in _overlaps(later, in_force[:place])])
    return tuple(contract for contract, _ in in_force)


def known_instants(folder: Path) -> tuple[datetime, ...]:
    """Return when the contracts of a folder became known, or will.

    Raises:
        ReferenceDataError: A file has a fault.
    """
    return tuple(contract.known_from for contract, _ in _read(folder, None))


def contracts_version(contracts: Iterable[Contract]) -> str:
    """Return a digest of contracts; `none` without any."""
    texts = sorted(f"{each.contract_id} {each.version}" for each in contracts)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:VERSION_DIGITS] if texts else NO_CONTRACTS


def load_contract(source: Path, folder: Path, book: PriceBook, *, now: datetime) -> LoadedContract:
    """Check a contract beside those of `folder` and put it there, whole or not at all.

    Args:
        source: The file. It is read once: what was checked is what is put there.
        folder: Where contracts in use lie. Only one may be put there at a time; another waits.
        book: List prices and exchange rates.
        now: The time, with a time zone.

    Raises:
        ReferenceDataError: It has a fault, knows of the future, overlaps another contract, says something else than a
            file in the folder about the same contract at the same knowledge time, begins after days that have begun and
            that the file before it covered, or has rates too fine for a price.
    """
    provider_of = book.list_prices.provider
    pair = contract, document = read_pair(source, provider_of)
    if contract.known_from > now:
        rule = f"expected known_from not after now, {now:%Y-%m-%dT%H:%M:%SZ}"
        refuse([document.fault(("known_from",), rule)])
    target = contract_path(contract, folder)
    with log_lock(folder, wait=True):
        others = _read(folder, provider_of, but=target)
        if target.exists() and read_contract(target).version != contract.version:
            rule = f"expected a contract that is superseded and not edited: {target.name} is known from the same time"
            refuse([document.fault(("known_from",), f"{rule} and says something else")])
        _refuse_twice([*others, pair])
        mine = [each for each in others if each[0].contract_id == contract.contract_id]
        before = _newest(each for each in mine if each[0].known_from < contract.known_from)
        refuse([fault for earlier, _ in before for fault in uncovered(pair, earlier, now.date())])
        # Where the folder knows of a later file of the same contract, that one is in force.
        if pair in _newest([*others, pair]):
            refuse(_overlaps(pair, _newest(others)))
        notices = [
            *without_effect(contract, book),
            *(notice for earlier, _ in before for notice in taken_back(contract, earlier, now.date())),
        ]
        temporary = target.with_name(f".{target.name}.tmp")
        write_synced(temporary, document.source)
        temporary.replace(target)
        sync_folder(folder)
    return LoadedContract(contract, target, tuple(notices))


def contract_path(contract: Contract, folder: Path) -> Path:
    """Return where a contract lies once it is in use."""
    return folder / f"{contract.contract_id}@{contract.known_from:%Y%m%dT%H%M%SZ}.yml"


def _read(folder: Path, provider_of: ProviderOf | None, *, but: Path | None = None) -> list[Pair]:
    return [read_pair(path, provider_of) for path in sorted(folder.glob("*.y*ml")) if path != but]


def _newest(pairs: Iterable[Pair]) -> list[Pair]:
    """Return of each contract what was known last, by name."""
    newest = {pair[0].contract_id: pair for pair in sorted(pairs, key=lambda each: each[0].known_from)}
    return [newest[name] for name in sorted(newest)]


def _refuse_twice(pairs: list[Pair]) -> None:
    first: dict[tuple[str, datetime], Document] = {}
    faults = []
    for contract, document in pairs:
        other = first.setdefault((contract.contract_id, contract.known_from), document)
        if other is not document:
            rule = f"expected one file for {contract.contract_id} at one known_from, but {other.path} is another"
            faults.append(document.fault(("known_from",), rule))
    refuse(faults)


def _overlaps(pair: Pair, others: Iterable[Pair]) -> Iterable[DocumentFault]:
    contract, document = pair
    return [
        document.fault(
            ("contract_id",),
            f"expected one contract for a model of an account at a time, but {other.contract_id} ({source.path}) "
            f"covers models of {contract.provider} from {max(contract.valid_from, other.valid_from)} on too",
        )
        for other, source in others
        if other.contract_id != contract.contract_id and contract.overlaps(other)
    ]
