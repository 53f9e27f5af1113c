"""Which accounts a statement line is posted to, by the reference data in use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from tollbook.errors import DocumentFault
from tollbook.reference.dated.entries import DatedEntry
from tollbook.reference.dated.kinds import ACCOUNTS, ENTITIES
from tollbook.reference.dated.use import ReferenceBook

NO_ACCOUNTS: Final = "none"
NO_RULE: Final = "no rule matches"
MATCHED: Final = ("business_unit", "cost_center", "charge_category", "charge_kind", "provider")
"""What rules match of a statement line; its legal entity follows from the cost centre."""
_DIGEST_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class Account:
    """Where an amount is posted.

    Attributes:
        number: The account; None where it cannot be told.
        unposted_reason: Why it cannot; None where it can.
        fault: What rules contradict each other, if that is why.
    """

    number: str | None
    unposted_reason: str | None
    fault: DocumentFault | None = None


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
    def on(cls, book: ReferenceBook, day: date, known_at: datetime | None = None) -> AccountRules:
        """Return those that hold on a day, by what was known at an instant; None for all that is known."""
        files = [file for kind in (ACCOUNTS, ENTITIES) for file in book.files.get(kind, ())]
        text = "\n".join(f"{file.kind} {file.name} {file.version}" for file in files)
        return cls(
            rules=tuple(entry for entry in book.known(ACCOUNTS, known_at) if entry.holds_on(day)),
            entities={
                center: entry.body["entity_id"]
                for entry in book.known(ENTITIES, known_at)
                if entry.holds_on(day)
                for center in entry.body["cost_centers"]
            },
            version=hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS] if files else NO_ACCOUNTS,
        )

    def legal_entity(self, line: dict[str, Any]) -> str | None:
        """Return the legal entity that bears a statement line, None when none has its cost centre."""
        return self.entities.get(line["cost_center"])

    def account(self, line: dict[str, Any], side: str) -> Account:
        """Return the account of a statement line, or why it has none.

        Args:
            line: `statement_line/v1`.
            side: `expense` or `clearing`.
        """
        told = line | {"legal_entity": self.legal_entity(line)}
        matching = [rule for rule in self.rules if rule.body["match"].items() <= told.items()]
        most = max((len(rule.body["match"]) for rule in matching), default=0)
        deciding = [rule for rule in matching if len(rule.body["match"]) == most]
        accounts = {rule.body["accounts"][side] for rule in deciding}
        if len(accounts) > 1:
            equals = f"{' and '.join(each.entry_id for each in deciding)} name equally much"
            rule = (
                f"expected one {side} account for {line['charge_kind']} of {line['cost_center']}, got "
                f"{', '.join(sorted(accounts))}: {equals}"
            )
            return Account(None, equals, deciding[-1].fault(("match",), rule))
        return Account(accounts.pop(), None) if accounts else Account(None, NO_RULE)
