"""Statements: what each team and each of its workflows is charged for a billing period, and summaries of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tollbook.chargeback.statement_lines import AMOUNTS, COSTS, UNKNOWNS, Row
from tollbook.exports.file_names import safe_file_name
from tollbook.exports.folder import Export, put_export
from tollbook.exports.lines import PeriodLines, by_team, read_period
from tollbook.exports.people import Statement
from tollbook.exports.rendering import rendered
from tollbook.exports.workbook import Sheet
from tollbook.settings import Settings

STATEMENTS: Final = "statements"
SUMMARY: Final = "summary"
WORKFLOWS: Final = "workflows"

_NUMBERS: Final = {
    "calls": "Calls",
    "unpriced_calls": "Unpriced calls",
    "list_amount": "List cost",
    "contracted_amount": "Contracted cost",
    "effective_amount": "Effective cost (charged)",
    "unknown_effective_costs": "Charges of unknown effective cost",
    "billed_amount": "Billed cost",
    "unknown_billed_costs": "Charges not yet billed",
}
_LINE_COLUMNS: Final = {
    "workflow": "Workflow",
    "cost_center": "Cost centre",
    "provider": "Provider",
    "model": "Model",
    "sku_price_id": "SKU price",
    "charge_kind": "Charge",
    "source_id": "Of",
    "charge_class": "Class",
    "billing_currency": "Currency",
} | _NUMBERS
_TOTAL_COLUMNS: Final = {"team": "Team", "billing_currency": "Currency"} | _NUMBERS
_WORKFLOW_TOTAL_COLUMNS: Final = {"team": "Team", "workflow": "Workflow", "billing_currency": "Currency"} | _NUMBERS
# Paper has room for what is charged and why; the rest is in the other formats.
_NOT_PRINTED: Final = ("sku_price_id", "billing_currency", "unpriced_calls", "unknown_billed_costs")
_ABSENT: Final = "– stands for a cost that is unknown, or that no invoice bills yet."


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements of a billing period.

    Attributes:
        export: Where they lie.
        period: What they were made of.
        totals: `statement_total/v1`, by team and currency.
        workflow_totals: `workflow_total/v1`, by team, workflow and currency.
    """

    export: Export
    period: PeriodLines
    totals: list[Row]
    workflow_totals: list[Row]

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return self.period.as_dict() | _counts(self.period, self.totals, self.workflow_totals) | self.export.as_dict()


def export_statements(settings: Settings, period: str) -> Statements:
    """Write the statements of a billing period below `exports/statements/<period>/<version>/`.

    The same period and build gives the same bytes, and a second run leaves all as it is.

    Args:
        settings: Where the book lives.
        period: The billing period, `YYYY-MM`.

    Raises:
        MisuseError: It is no period, or nothing was charged in it.
        NothingPublishedError: There is no published file yet.
        OutdatedPublicationError: The published file is of a version that had no such charges.
        ExportChangedError: They are there, and not as they were written.
    """
    held = read_period(settings, period)
    totals, workflow_totals = list(team_totals(held)), list(totals_by_workflow(held))
    statements = [
        _statement(held, SUMMARY, "statement_total", totals, "AI costs of all teams", _TOTAL_COLUMNS),
        _statement(
            held, WORKFLOWS, "workflow_total", workflow_totals, "AI costs of all workflows", _WORKFLOW_TOTAL_COLUMNS
        ),
    ]
    for team, lines in by_team(held.lines):
        statements.append(
            _statement(held, _team_path(team), "statement_line", lines, f"AI costs of {team}", _LINE_COLUMNS)
        )
        for workflow, part in _by_workflow(lines):
            title = f"AI costs of {workflow}, {team}"
            path = _workflow_path(team, workflow)
            statements.append(_statement(held, path, "statement_line", part, title, _LINE_COLUMNS))
    folder = settings.exports / STATEMENTS / held.period / held.version
    facts = {"export": STATEMENTS, "version": held.version} | held.as_dict() | _counts(held, totals, workflow_totals)
    return Statements(put_export(folder, rendered(statements), facts), held, totals, workflow_totals)


def team_totals(held: PeriodLines) -> Iterator[Row]:
    """Yield what each team is charged in each currency, `statement_total/v1`. A sum of nothing known is unknown."""
    for team, lines in by_team(held.lines):
        yield from _totals(held, lines, {"team": team, "statement": _team_path(team)})


def totals_by_workflow(held: PeriodLines) -> Iterator[Row]:
    """Yield what each workflow of a team is charged in each currency, `workflow_total/v1`, as teams are."""
    for team, lines in by_team(held.lines):
        for workflow, part in _by_workflow(lines):
            told = {"team": team, "workflow": workflow, "statement": _workflow_path(team, workflow)}
            yield from _totals(held, part, told)


def _totals(held: PeriodLines, lines: Sequence[Row], told: Row) -> Iterator[Row]:
    for currency in dict.fromkeys(line["billing_currency"] for line in lines):
        own = [line for line in lines if line["billing_currency"] == currency]
        total = told | {
            "billing_period": held.period,
            "billing_currency": currency,
            "statement_lines": len(own),
        }
        for name in ("calls", "unpriced_calls", *UNKNOWNS.values()):
            total[name] = sum(line[name] for line in own)
        for name in (*COSTS, *AMOUNTS.values()):
            known = [line[name] for line in own if line[name] is not None]
            total[name] = sum(known) if known else None
        yield total


def _by_workflow(lines: Iterable[Row]) -> Iterator[tuple[str, list[Row]]]:
    held: defaultdict[str, list[Row]] = defaultdict(list)
    for line in lines:
        held[line["workflow"]].append(line)
    yield from sorted(held.items())


def _statement(
    held: PeriodLines, path: str, record: str, rows: Sequence[Row], title: str, columns: dict[str, str]
) -> Statement:
    unknown = sum(row["unknown_effective_costs"] for row in rows)
    notes = [_ABSENT, f"{held.days.start} to {held.days.end}, the last day not included; {held.version}."]
    if unknown:
        notes.insert(0, f"Charges of unknown effective cost, which are in no amount: {unknown}.")
    return Statement(
        path=path,
        record=record,
        rows=rows,
        sheet=Sheet(title, _subtitle(held), columns, "billing_currency"),
        printed={name: heading for name, heading in columns.items() if name not in _NOT_PRINTED},
        numbers=frozenset(_NUMBERS),
        notes=tuple(notes),
        made_at=held.built_at,
    )


def _team_path(team: str) -> str:
    return f"teams/{safe_file_name(team)}"


def _workflow_path(team: str, workflow: str) -> str:
    return f"{WORKFLOWS}/{safe_file_name(team)}/{safe_file_name(workflow)}"


def _subtitle(held: PeriodLines) -> str:
    return (
        f"Billing period {held.period}, build {held.build_number}; amounts rounded, exact ones are in CSV and Parquet"
    )


def _counts(held: PeriodLines, totals: Sequence[Row], workflow_totals: Sequence[Row]) -> dict[str, Any]:
    return {
        "teams": len({row["team"] for row in totals}),
        "workflows": len({(row["team"], row["workflow"]) for row in workflow_totals}),
        "lines": len(held.lines),
        "unknown_effective_costs": sum(row["unknown_effective_costs"] for row in totals),
    }
