"""The journal: a billing period as a double entry. Teams' expense is debited, the clearing of who bills is credited."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from tollbook.contracts import contract
from tollbook.errors import JournalUnbalancedError
from tollbook.exports.accounts import AccountRules
from tollbook.exports.folder import Export, put_export
from tollbook.exports.lines import PeriodLines, Row, digest_of, read_period
from tollbook.exports.rounding import from_minor
from tollbook.exports.tables import csv_bytes, parquet_bytes
from tollbook.reference.dated.use import read_reference
from tollbook.settings import Settings

JOURNAL: Final = "journal"
UNMAPPED: Final = "unmapped"
_TOLD_APART_BY: Final = (
    *("posting", "currency", "legal_entity", "account"),
    *("business_unit", "cost_center", "team", "provider", "obligation"),
)
_POSTED_TO: Final = {
    "expense": ("business_unit", "cost_center", "team"),
    "clearing": ("provider", "obligation"),
}
_SIGN: Final = {"expense": 1, "clearing": -1}


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of a billing period.

    Attributes:
        export: Where it lies.
        period: What it was made of.
        lines: `journal_line/v1`.
        findings: What has no account, in words.
        unknown_charges: Charges of unknown effective cost, which are not posted.
    """

    export: Export
    period: PeriodLines
    lines: list[Row]
    findings: tuple[str, ...]
    unknown_charges: int

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            **self.period.as_dict(),
            "lines": len(self.lines),
            "debits": debits(self.lines),
            "unknown_effective_costs": self.unknown_charges,
            "findings": list(self.findings),
            **self.export.as_dict(),
        }


def export_journal(settings: Settings, period: str) -> Journal:
    """Write the journal of a billing period below `exports/journal/<period>/<version>/`.

    Its amounts are those of the statements, so that a team's postings sum to its statement. What no rule of
    `gl_accounts` matches is posted to the account `unmapped`, and is a finding.

    Args:
        settings: Where the book lives.
        period: The billing period, `YYYY-MM`.

    Raises:
        MisuseError: It is no period, or nothing was charged in it.
        NothingPublishedError: There is no published file yet.
        ReferenceDataError: A reference file has a fault, or its rules contradict each other.
        JournalUnbalancedError: Debits and credits differ.
        ExportChangedError: It is there, and not as it was written.
    """
    held = read_period(settings, period)
    posting_date = held.days.end - timedelta(days=1)
    rules = AccountRules.on(read_reference(settings.reference), posting_date)
    version = f"{held.version}-accounts-{rules.version}"
    lines, findings = journal_lines(
        held.lines, rules, journal_id=f"{period}-{version}", period=period, posting_date=posting_date
    )
    refuse_unbalanced(lines)
    unknown = sum(line["unknown_effective_costs"] for line in held.lines)
    shape = contract("journal_line")
    files = {
        "journal.csv": csv_bytes(shape, lines),
        "journal.parquet": parquet_bytes(shape, lines),
        "journal_line.schema.json": (json.dumps(shape.json_schema, indent=2, ensure_ascii=False) + "\n").encode(),
    }
    facts = {
        "export": JOURNAL,
        "version": version,
        **held.as_dict(),
        "lines": len(lines),
        "debits": {currency: f"{amount:f}" for currency, amount in debits(lines).items()},
        "unknown_effective_costs": unknown,
        "findings": list(findings),
    }
    export = put_export(settings.exports / JOURNAL / period / version, files, facts)
    return Journal(export, held, lines, findings, unknown)


def journal_lines(
    lines: Iterable[Row], rules: AccountRules, *, journal_id: str, period: str, posting_date: date
) -> tuple[list[Row], tuple[str, ...]]:
    """Return the double entry of statement lines, and what has no account.

    A sum below zero, such as a credit's, stands on the other side; one of zero is left out.

    Args:
        lines: `statement_line/v1`; those of unknown effective cost are not posted.
        rules: Accounts.
        journal_id: Name of the journal.
        period: Billing period, `YYYY-MM`.
        posting_date: Date of every line.

    Returns:
        `journal_line/v1`, and findings in words, sorted.

    Raises:
        ReferenceDataError: Rules contradict each other.
    """
    sums: defaultdict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
    findings: set[str] = set()
    for line in lines:
        if not line["effective_amount"]:
            continue
        for posting, sign in _SIGN.items():
            account = rules.account(line, posting)
            if account is None:
                findings.add(
                    f"no {posting} account for {line['charge_category']} {line['charge_kind']} of "
                    f"{line['provider'] or line['source_id']}, cost centre {line['cost_center']}"
                )
            facts = {name: line[name] for name in _POSTED_TO[posting]} | {
                "posting": posting,
                "currency": line["billing_currency"],
                "legal_entity": rules.legal_entity(line),
                "account": account or UNMAPPED,
            }
            sums[tuple(facts.get(name) for name in _TOLD_APART_BY)].append(sign * line["effective_amount"])
    posted = [
        _posted(dict(zip(_TOLD_APART_BY, key, strict=True)), amounts, period)
        for key, amounts in sorted(sums.items(), key=lambda each: _order(each[0]))
    ]
    common = {"journal_id": journal_id, "posting_date": posting_date}
    return [common | line for line in posted if line["debit"] or line["credit"]], tuple(sorted(findings))


def refuse_unbalanced(lines: Iterable[Row]) -> None:
    """Refuse lines whose debits and credits differ in a currency, or in a legal entity's part of it.

    Raises:
        JournalUnbalancedError: They do.
    """
    balances: defaultdict[tuple[str, str | None], Decimal] = defaultdict(Decimal)
    for line in lines:
        balances[line["currency"], line["legal_entity"]] += line["debit"] - line["credit"]
    differences = {key: balance for key, balance in balances.items() if balance}
    if differences:
        raise JournalUnbalancedError(differences)


def debits(lines: Iterable[Row]) -> dict[str, Decimal]:
    """Return the sum of debits by currency."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        sums[line["currency"]] += line["debit"]
    return dict(sorted(sums.items()))


def _order(key: tuple[Any, ...]) -> tuple[str, ...]:
    """Return what lines are sorted by: expense before clearing, else as they are told apart."""
    posting, *rest = key
    return ("0" if posting == "expense" else "1", *(part or "" for part in rest))


def _posted(facts: Row, amounts: Sequence[Decimal], period: str) -> Row:
    balance, zero = sum(amounts, Decimal()), from_minor(0, facts["currency"])
    whose = facts["team"] if facts["posting"] == "expense" else facts["obligation"] or facts["provider"]
    return {
        "journal_line_id": digest_of(period, *(facts[name] for name in _TOLD_APART_BY)),
        "billing_period": period,
        **facts,
        "side": "debit" if balance > 0 else "credit",
        "debit": max(balance, zero),
        "credit": max(-balance, zero),
        "statement_lines": len(amounts),
        "text": f"AI costs {period}: {whose}",
    }
