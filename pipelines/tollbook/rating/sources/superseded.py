"""What a newer file of a contract takes back of the one before it.

Only the newest file of a contract is in force, for the past too: what it no longer covers had a contract when it was
used, and has none any more. A file that begins later is refused where days before it have begun: an amendment is
written as terms that begin later. All else that is taken back, such as by an early end, is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from tollbook.errors import DocumentFault
from tollbook.rating.contract_terms import Contract, Reach, Term, matches_any
from tollbook.rating.sources.contract_documents import Pair

Days = tuple[date, date]
_DAY = timedelta(days=1)


def uncovered(pair: Pair, before: Contract, today: date) -> Iterator[DocumentFault]:
    """Yield the faults of a contract that begins after days which have begun and which the file before it covered."""
    contract, document = pair
    if contract.provider != before.provider:
        rule = f"expected {before.provider}, as it was known before; another provider has a contract_id of its own"
        yield document.fault(("provider",), rule)
        return
    if before.valid_from < contract.valid_from and before.valid_from <= today:
        yield document.fault(
            ("valid_from",),
            f"expected {before.valid_from} or earlier, as it was known before: the newest file holds for the past too; "
            "let the terms that change begin by a valid_from of their own",
        )


def taken_back(contract: Contract, before: Contract, today: date) -> Iterator[str]:
    """Yield in words what a contract takes back of days that have begun."""
    if contract.version == before.version or before.valid_from > today:
        return
    name = contract.contract_id
    for first, last in _lost(before, contract, today):
        yield f"{name}: days from {first} to {last} are no longer covered"
    mine, old = contract.billing_accounts, before.billing_accounts
    if mine is not None and (old is None or old - mine):
        accounts = "accounts other than those it names" if old is None else f"accounts {', '.join(sorted(old - mine))}"
        yield f"{name}: {accounts} are no longer covered, from {before.valid_from} on"
    models = [each for each in before.models if not matches_any(contract.models, each)]
    if models:
        yield f"{name}: models {', '.join(models)} are no longer covered as before, from {before.valid_from} on"
    terms = {term.term_id: term for term in contract.terms}
    for old_term in before.terms:
        yield from _taken_back(name, old_term, terms.get(old_term.term_id), today)


def _taken_back(name: str, before: Term, term: Term | None, today: date) -> Iterator[str]:
    if before.valid_from > today:
        return
    if term is None:
        yield f"{name}: term {before.term_id} is gone, and what it made of days from {before.valid_from} on"
        return
    for first, last in _lost(before, term, today):
        yield f"{name}: term {term.term_id} no longer holds from {first} to {last}"
    if type(term.body) is not type(before.body):
        yield f"{name}: term {term.term_id} is of another kind, for days from {before.valid_from} on too"
    elif _narrower(term.reach, before.reach):
        yield f"{name}: term {term.term_id} reaches less than before, from {before.valid_from} on"


def _lost(before: Contract | Term, after: Contract | Term, today: date) -> Iterator[Days]:
    """Yield the first and last of the begun days of one that another does not have."""
    end = min(before.valid_to or date.max, today + _DAY)
    first, beyond = before.valid_from, min(end, after.valid_from)
    if first < beyond:
        yield first, beyond - _DAY
    first = max(before.valid_from, after.valid_to or date.max)
    if first < end:
        yield first, end - _DAY


def _narrower(after: Reach, before: Reach) -> bool:
    """Return whether a reach lacks something that another has."""
    for name in ("service_tiers", "above_input_tokens", "rate_keys"):
        mine, old = getattr(after, name), getattr(before, name)
        if mine is not None and (old is None or old - mine):
            return True
    if after.regions is not None and (
        before.regions is None or any(not matches_any(after.regions, each) for each in before.regions)
    ):
        return True
    return any(not matches_any(after.models, each) for each in before.models)
