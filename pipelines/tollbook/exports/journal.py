"""The journal: a billing period as a double entry. Teams' expense is debited, the clearing of who bills is credited."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tollbook.chargeback.accounts import AccountRules
from tollbook.chargeback.journal import UNMAPPED, debits, double_entry, refuse_unbalanced
from tollbook.chargeback.statement_lines import Row
from tollbook.contracts import contract
from tollbook.errors import ReferenceDataError
from tollbook.exports.folder import Export, put_export
from tollbook.exports.lines import PeriodLines, read_period
from tollbook.exports.tables import csv_bytes, parquet_bytes
from tollbook.reference.dated.use import read_reference
from tollbook.settings import Settings

JOURNAL: Final = "journal"


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
    entry = double_entry(held.lines, rules, journal_id=f"{period}-{version}", period=period, posting_date=posting_date)
    if entry.contradictions:
        raise ReferenceDataError.of_faults(entry.contradictions)
    lines = [line | {"account": line["account"] or UNMAPPED} for line in entry.lines]
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
        "findings": list(entry.findings),
    }
    export = put_export(settings.exports / JOURNAL / period / version, files, facts)
    return Journal(export, held, lines, entry.findings, unknown)
