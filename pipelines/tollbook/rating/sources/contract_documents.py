"""One contract from YAML: `schemas/documents/contract.schema.json` is the manual of its form.

What no schema can see is checked here. Every fault names file, line, field, value and rule, and nothing of a file with
one is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tollbook.errors import DocumentFault
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
from tollbook.rating.prices import ANY_ACCOUNT
from tollbook.rating.units import load_names, load_units
from tollbook.reference.documents import Document, read_document, refuse

SCHEMA: Final = "contract"
PER_RATE: Final = 1_000_000
VERSION_DIGITS: Final = 16
_FINEST: Final = 10**12
_KINDS: Final = ("rates", "discount", "volume_tiers", "committed_use", "spend_commitment", "prepaid_credit")
_BY_REQUEST: Final = frozenset({"rates", "discount"})

Place = tuple[str | int, ...]
# A contract and what it was read from.
Pair = tuple[Contract, Document]
# From any name of a provider to that of the price list, as `Catalogue.provider` does.
ProviderOf = Callable[[str], str]


def read_contract(path: Path, provider_of: ProviderOf | None = None) -> Contract:
    """Return the contract of a file.

    Args:
        path: The file.
        provider_of: Gives the price list's name of a provider; by default by its aliases alone, without a price list.

    Raises:
        ReferenceDataError: It breaks its schema or contradicts itself; each fault with line, field, value and rule.
    """
    return read_pair(path, provider_of)[0]


def read_pair(path: Path, provider_of: ProviderOf | None = None) -> Pair:
    """Return the contract of a file, and the document that its faults are told of.

    Raises:
        ReferenceDataError: It breaks its schema or contradicts itself.
    """
    document = read_document(path, SCHEMA)
    reader = _Reader(document, provider_of or load_names().provider)
    contract = reader.contract()
    refuse(reader.faults)
    return contract, document


class _Reader:
    """Turns a document that keeps its schema into a contract, and notes what no schema can see."""

    def __init__(self, document: Document, provider_of: ProviderOf) -> None:
        self.document = document
        self._provider_of = provider_of
        self.faults: list[DocumentFault] = []
        self._said: Mapping[str, Any] = document.content
        self._keys = load_units().amounts
        self._token_keys = {key for unit in load_units().buckets for key in unit.rates}

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
        for place, account in enumerate(accounts or ()):
            if account == ANY_ACCOUNT:
                self._note(("billing_accounts", place), "expected an account; without billing_accounts all are covered")
        return Contract(
            contract_id=said["contract_id"],
            provider=self._provider_of(said["provider"]),
            currency=said["currency"],
            valid_from=valid_from,
            known_from=datetime.fromisoformat(said["known_from"]).astimezone(UTC),
            terms=tuple(
                self._term(("terms", place), term, valid_from, valid_to) for place, term in enumerate(said["terms"])
            ),
            version=hashlib.sha256(content.encode()).hexdigest()[:VERSION_DIGITS],
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
            where = (*place, "rate_keys", number)
            if self._known_key(where, key) and kind not in _BY_REQUEST and key not in self._token_keys:
                self._note(where, f"expected a rate key of tokens beside {kind}: its totals tell of no other")
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
