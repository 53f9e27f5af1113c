"""Which accounts a statement line is posted to, by the reference data in use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from tollbook.errors import ReferenceDataError
from tollbook.reference.dated.entries import DatedEntry
from tollbook.reference.dated.kinds import ACCOUNTS, ENTITIES
from tollbook.reference.dated.use import ReferenceBook

NO_ACCOUNTS: Final = "none"
_DIGEST_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class AccountRules:
    """Accounts and legal entities of one day.

    Attributes:
        rules: Entries of `gl_accounts` that hold.
        entities: Legal entity by cost centre.
        version: Digest of the files that they come from.
    """

    rules: tuple[DatedEntry, ...]
    entities: dict[str, str]
    version: str

    @classmethod
    def on(cls, book: ReferenceBook, day: date) -> AccountRules:
        """Return those that hold on a day, by all that is known."""
        files = [file for kind in (ACCOUNTS, ENTITIES) for file in book.files.get(kind, ())]
        text = "\n".join(f"{file.kind} {file.name} {file.version}" for file in files)
        return cls(
            rules=tuple(entry for entry in book.known(ACCOUNTS) if entry.holds_on(day)),
            entities={
                center: entry.body["entity_id"]
                for entry in book.known(ENTITIES)
                if entry.holds_on(day)
                for center in entry.body["cost_centers"]
            },
            version=hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS] if files else NO_ACCOUNTS,
        )

    def legal_entity(self, line: dict[str, Any]) -> str | None:
        """Return the legal entity that bears a statement line, None when none has its cost centre."""
        return self.entities.get(line["cost_center"])

    def account(self, line: dict[str, Any], side: str) -> str | None:
        """Return the account of a statement line, None when no rule matches it.

        Args:
            line: `statement_line/v1`.
            side: `expense` or `clearing`.

        Raises:
            ReferenceDataError: Rules that name equally much name different accounts.
        """
        told = line | {"legal_entity": self.legal_entity(line)}
        matching = [rule for rule in self.rules if rule.body["match"].items() <= told.items()]
        most = max((len(rule.body["match"]) for rule in matching), default=0)
        deciding = [rule for rule in matching if len(rule.body["match"]) == most]
        accounts = {rule.body["accounts"][side] for rule in deciding}
        if len(accounts) > 1:
            rule = (
                f"expected one {side} account for {line['charge_kind']} of {line['cost_center']}, got "
                f"{', '.join(sorted(accounts))}: {' and '.join(each.entry_id for each in deciding)} name equally much"
            )
            raise ReferenceDataError.of_faults([deciding[-1].fault(("match",), rule)])
        return next(iter(accounts), None)
