"""Contracts from YAML: `schemas/documents/contract.schema.json` is the manual of their form.

A contract is superseded, never edited: what changes is a new file with the same `contract_id` and a later `known_from`.
Of the files of one contract the one that was known last is in force, so that any knowledge time can be asked for.
Nothing of a file with a fault is used, and nothing of a folder with one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tollbook.errors import DocumentFault
from tollbook.lake.log import sync_folder, write_synced
from tollbook.rating.contract_terms import (
    ALL_MODELS,
    DEFAULT_PRICE,
    TERM,
    TOKENS,
    Body,
    CommittedUse,
    Contract,
    Discount,
    NegotiatedRates,
    PrepaidCredit,
    Reach,
    SpendCommitment,
    Step,
    Term,
    VolumeTiers,
)
from tollbook.rating.units import load_names, load_units
from tollbook.reference.documents import Document, read_document, refuse

SCHEMA: Final = "contract"
NO_CONTRACTS: Final = "none"
PER_RATE: Final = 1_000_000
_FINEST: Final = 10**12
_DIGEST_DIGITS: Final = 16
_KINDS: Final = ("rates", "discount", "volume_tiers", "committed_use", "spend_commitment", "prepaid_credit")
_BY_REQUEST: Final = frozenset({"rates", "discount"})

Place = tuple[str | int, ...]
Pair = tuple[Contract, Document]


def read_contract(path: Path) -> Contract:
    """Return the contract of a file.

    Raises:
        ReferenceDataError: It breaks its schema or contradicts itself; each fault with line, field, value and rule.
    """
    return _read(path)[0]


def read_contracts(folder: Path, *, as_of: datetime | None = None) -> tuple[Contract, ...]:
    """Return the contracts of a folder's YAML files, by name; none where there is no folder.

    Args:
        folder: Where they lie.
        as_of: Knowledge time: what was learned later is not known. By default all is.

    Raises:
        ReferenceDataError: A file has a fault, two files tell of one contract at one knowledge time, or two contracts
            cover one model of one account at one time.
    """
    documents = [_read(path) for path in sorted(folder.glob("*.y*ml"))]
    _refuse_twice(documents)
    known = [pair for pair in documents if as_of is None or pair[0].known_from <= as_of]
    in_force = _newest(known)
    refuse([fault for place, later in enumerate(in_force) for fault in _overlaps(later, in_force[:place])])
    return tuple(contract for contract, _ in in_force)


def contracts_version(contracts: Iterable[Contract]) -> str:
    """Return a digest of contracts; `none` without any."""
    texts = sorted(f"{each.contract_id} {each.version}" for each in contracts)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:_DIGEST_DIGITS] if texts else NO_CONTRACTS


def load_contract(source: Path, folder: Path) -> Contract:
    """Check a contract beside those of `folder` and put it there, whole or not at all; return it.

    Raises:
        ReferenceDataError: It has a fault, overlaps another contract, or says something else than a file in the folder
            about the same contract at the same knowledge time.
    """
    contract, document = _read(source)
    target = contract_path(contract, folder)
    others = [_read(path) for path in sorted(folder.glob("*.y*ml")) if path != target]
    if target.exists() and _read(target)[0].version != contract.version:
        rule = f"expected a contract that is superseded and not edited: {target.name} is known from the same time"
        refuse([document.fault(("known_from",), f"{rule} and says something else")])
    _refuse_twice([*others, (contract, document)])
    refuse(_overlaps((contract, document), _newest(others)))
    folder.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    write_synced(temporary, source.read_bytes())
    temporary.replace(target)
    sync_folder(folder)
    return contract


def contract_path(contract: Contract, folder: Path) -> Path:
    """Return where a contract lies once it is in use."""
    return folder / f"{contract.contract_id}@{contract.known_from:%Y%m%dT%H%M%SZ}.yml"


def _read(path: Path) -> Pair:
    document = read_document(path, SCHEMA)
    reader = _Reader(document)
    contract = reader.contract()
    refuse(reader.faults)
    return contract, document


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


class _Reader:
    """Turns a document that keeps its schema into a contract, and notes what no schema can see."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults: list[DocumentFault] = []
        self._said: Mapping[str, Any] = document.content
        self._keys = {key: unit.per for unit in load_units().all for key in unit.rates}

    def contract(self) -> Contract:
        """Return the contract; meaningless when faults were noted."""
        said = self._said
        valid_from, valid_to = self._span((), date.min, None)
        content = json.dumps(said, sort_keys=True)
        names = [term["term_id"] for term in said["terms"]]
        for place, name in enumerate(names):
            if name in names[:place]:
                self._note(("terms", place, "term_id"), "expected each term_id once")
        accounts = said.get("billing_accounts")
        return Contract(
            contract_id=said["contract_id"],
            provider=load_names().provider(said["provider"]),
            currency=said["currency"],
            valid_from=valid_from,
            known_from=datetime.fromisoformat(said["known_from"]).astimezone(UTC),
            terms=tuple(
                self._term(("terms", place), term, valid_from, valid_to) for place, term in enumerate(said["terms"])
            ),
            version=hashlib.sha256(content.encode()).hexdigest()[:_DIGEST_DIGITS],
            billing_accounts=None if accounts is None else frozenset(accounts),
            models=tuple(said.get("models", ALL_MODELS)),
            valid_to=valid_to,
            source=said.get("source"),
        )

    def _term(self, place: Place, said: Mapping[str, Any], valid_from: date, valid_to: date | None) -> Term:
        kind = next(name for name in _KINDS if name in said)
        since, until = self._span(place, valid_from, valid_to)
        body: Body = getattr(self, f"_{kind}")((*place, kind), said[kind])
        reach = self._reach((*place, "applies_to"), said.get("applies_to", {}), kind)
        if isinstance(body, SpendCommitment) and body.per == TERM and until is None:
            self._note((*place, kind, "per"), "expected a term with an end, as the promise is over the whole of it")
        if isinstance(body, VolumeTiers) and reach.rate_keys is None:
            for number, step in enumerate(body.steps):
                if step.rate is not None:
                    where = (*place, kind, "steps", number, "rate")
                    self._note(where, "expected applies_to/rate_keys beside a rate, as it replaces their price")
        if isinstance(body, PrepaidCredit) and not since <= body.purchased_on < (until or date.max):
            self._note((*place, kind, "purchased_on"), f"expected a day of the term, from {since} to {until or 'ever'}")
        return Term(said["term_id"], body, since, until, reach, said.get("description"))

    def _span(self, place: Place, first: date, beyond: date | None) -> tuple[date, date | None]:
        """Return the days on which something holds, within those of what it is a part of."""
        said = self._at(place)
        since = date.fromisoformat(said["valid_from"]) if "valid_from" in said else first
        until = date.fromisoformat(said["valid_to"]) if "valid_to" in said else beyond
        if until is not None and since >= until:
            self._note(
                (*place, "valid_to" if "valid_to" in said else "valid_from"), "expected valid_from before valid_to"
            )
        if since < first:
            self._note((*place, "valid_from"), f"expected a day of the contract, from {first} on")
        if beyond is not None and until is not None and until > beyond:
            self._note((*place, "valid_to"), f"expected no day after the contract, which ends before {beyond}")
        return since, until

    def _reach(self, place: Place, said: Mapping[str, Any], kind: str) -> Reach:
        for key in ("above_input_tokens", "regions"):
            if key in said and kind not in _BY_REQUEST:
                self._note((*place, key), "expected it beside rates or a discount alone: totals do not tell it")
        if "rate_keys" in said and kind == "rates":
            self._note((*place, "rate_keys"), "expected it beside other terms: rates name their keys themselves")
        for number, key in enumerate(said.get("rate_keys", ())):
            self._known_key((*place, "rate_keys", number), key)
        base = DEFAULT_PRICE if kind == "rates" else Reach()
        told: dict[str, Any] = {}
        if "service_tiers" in said:
            told["service_tiers"] = frozenset(self._tiers((*place, "service_tiers"), said["service_tiers"]))
        for key, shape in (("models", tuple), ("above_input_tokens", frozenset), ("regions", tuple)):
            if key in said:
                told[key] = shape(said[key])
        if "rate_keys" in said:
            told["rate_keys"] = frozenset(said["rate_keys"])
        return replace(base, **told)

    def _tiers(self, place: Place, told: list[str]) -> Iterable[str]:
        names = load_names()
        for number, name in enumerate(told):
            tier = names.service_tier(name)
            if tier is None:
                rule = f"expected a service tier, one of {', '.join(sorted(names.tier_contexts))} or an alias of theirs"
                self._note((*place, number), rule)
            yield tier or name

    def _rates(self, place: Place, said: Mapping[str, str]) -> NegotiatedRates:
        rates = {}
        for key in said:
            if self._known_key((*place, key), key):
                rates[key] = self._amount((*place, key)) / self._keys[key]
        return NegotiatedRates(rates)

    def _discount(self, place: Place, _: Mapping[str, Any]) -> Discount:
        return Discount(self._share((*place, "percent")))

    def _volume_tiers(self, place: Place, said: Mapping[str, Any]) -> VolumeTiers:
        counts_tokens = said["counts"] == TOKENS
        return VolumeTiers(said["counts"], said["mode"], self._steps((*place, "steps"), tokens=counts_tokens))

    def _committed_use(self, place: Place, said: Mapping[str, Any]) -> CommittedUse:
        overage = self._amount((*place, "overage_rate")) / PER_RATE if "overage_rate" in said else None
        return CommittedUse(self._amount((*place, "fee")), said["included_tokens"], overage)

    def _spend_commitment(self, place: Place, said: Mapping[str, Any]) -> SpendCommitment:
        steps = self._steps((*place, "steps"), tokens=False) if "steps" in said else ()
        return SpendCommitment(self._amount((*place, "amount")), said["per"], steps)

    def _prepaid_credit(self, place: Place, said: Mapping[str, Any]) -> PrepaidCredit:
        amount = self._amount((*place, "amount"))
        price = self._amount((*place, "price")) if "price" in said else amount
        purchased = date.fromisoformat(said["purchased_on"])
        expires = date.fromisoformat(said["expires_on"]) if "expires_on" in said else None
        if amount == 0:
            self._note((*place, "amount"), "expected more than nothing")
        if expires is not None and expires <= purchased:
            self._note((*place, "expires_on"), "expected a day after purchased_on")
        return PrepaidCredit(amount, price, purchased, expires, said.get("order", 0))

    def _steps(self, place: Place, *, tokens: bool) -> tuple[Step, ...]:
        steps = []
        for number, said in enumerate(self._at(place)):
            here = (*place, number)
            start = self._amount((*here, "from"))
            if tokens and start.denominator != 1:
                self._note((*here, "from"), "expected whole tokens")
            if "rate" in said and not tokens:
                self._note((*here, "rate"), "expected a discount_percent, as no tokens are counted")
            share = self._share((*here, "discount_percent")) if "discount_percent" in said else Fraction(0)
            rate = self._amount((*here, "rate")) / PER_RATE if "rate" in said else None
            steps.append(Step(start, share, rate))
        if steps[0].start != 0:
            self._note((*place, 0, "from"), 'expected the first step to begin at "0"')
        for number, (step, following) in enumerate(pairwise(steps), start=1):
            if step.start >= following.start:
                self._note((*place, number, "from"), "expected steps that begin at growing quantities")
        return tuple(steps)

    def _known_key(self, place: Place, key: str) -> bool:
        if key in self._keys:
            return True
        self._note(place, f"expected a rate key of units.yml, one of {', '.join(sorted(self._keys))}", came=repr(key))
        return False

    def _amount(self, place: Place) -> Fraction:
        amount = Fraction(self._at(place))
        if amount < 0 or _FINEST % amount.denominator:
            self._note(place, "expected zero or more, of at most 12 decimals")
        return amount

    def _share(self, place: Place) -> Fraction:
        percent = self._amount(place)
        if percent > 100:
            self._note(place, "expected from 0 to 100 percent")
        return percent / 100

    def _at(self, place: Place) -> Any:
        said: Any = self._said
        for step in place:
            said = said[step]
        return said

    def _note(self, place: Place, rule: str, *, came: str | None = None) -> None:
        self.faults.append(self.document.fault(place, rule, came=came))
