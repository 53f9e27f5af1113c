"""`tollbook export`: the files that finance takes away."""

from __future__ import annotations

from typing import Annotated

import typer

from tollbook.cli.options import Home, Json, print_json, print_table, progress
from tollbook.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Period = Annotated[
    str,
    typer.Option(
        "--period",
        help="Billing period of the published file: YYYY-MM, or `last`, which ended last.",
        show_default=False,
    ),
]


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="export", help="Files for finance, below the exports folder of the home.")


@app.command()
def statements(*, period: Period, home: Home = None, as_json: Json = False) -> None:
    """Write a statement for each team and workflow as CSV, Parquet, XLSX, HTML and PDF, summaries, and a manifest.

    CSV and Parquet have exact costs and amounts rounded to the currency's minor unit, which sum by team and over
    all; workbooks have the rounded ones. The same period and build gives the same files: a second run writes nothing.
    """
    from tollbook.exports.statements import export_statements

    settings = Settings.load(home=home)
    made = export_statements(settings, _named(settings, period))
    _tell(made.as_dict(), as_json=as_json)


@app.command()
def journal(*, period: Period, home: Home = None, as_json: Json = False) -> None:
    """Write the double entry that charges a period to teams, with the accounts of the reference data in use.

    Debits equal credits in every currency, and a team's postings sum to its statement. Exits 1 when something has
    no account: it is posted to `unmapped`.
    """
    from tollbook.exports.journal import export_journal

    settings = Settings.load(home=home)
    made = export_journal(settings, _named(settings, period))
    facts = made.as_dict()
    facts["debits"] = {currency: f"{amount:f}" for currency, amount in facts["debits"].items()}
    shown = (
        facts
        if as_json
        else facts
        | {
            "debits": ", ".join(f"{amount} {currency}" for currency, amount in facts["debits"].items()),
            "findings": len(made.findings),
        }
    )
    _tell(shown, as_json=as_json)
    for finding in made.findings:
        progress(finding)
    if made.findings:
        progress("posted to the account `unmapped`: add rules with `tollbook reference load gl_accounts.yml`")
        raise typer.Exit(1)


@app.command()
def focus(
    *,
    period: Period,
    focus_version: Annotated[str, typer.Option("--focus-version", help="Version of FOCUS: 1.2 or 1.4.")] = "1.4",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a period as FOCUS, the FinOps Open Cost and Usage Specification, as CSV and Parquet with a manifest.

    Cost and Usage; with 1.4 also Billing Period, Invoice Detail and Contract Commitment. Exits 1 when charges have
    an unknown cost: FOCUS has no room for them, so they are in `rejected_charge` instead, never zero.
    """
    from tollbook.exports.focus.export import export_focus

    settings = Settings.load(home=home)
    made = export_focus(settings, _named(settings, period), focus_version)
    facts = made.as_dict()
    if as_json:
        print_json(facts)
    else:
        rows = ", ".join(f"{count} {name}" for name, count in made.rows.items())
        print_table(("export", "value"), (facts | {"rows": rows}).items())
    if made.unknown_charges:
        progress(f"charges of unknown cost, in rejected_charge.csv and in no data set of FOCUS: {made.unknown_charges}")
        raise typer.Exit(1)


@app.command()
def status(
    *,
    period: Period,
    due: Annotated[
        str, typer.Option("--due", help="Day, YYYY-MM-DD, or days after the period's end, by which they must be there.")
    ],
    of: Annotated[
        list[str] | None,
        typer.Option("--of", help="statements, journal, focus or close; may be repeated. [default: all but close]"),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show which exports of a period are there, and exit 1 when one is late; with `--of close` whether it is closed.

    For a timer: what fails is what somebody has to see to.
    """
    from datetime import UTC, datetime

    from tollbook.exports.due import awaited, due_day, refuse_late

    settings, now = Settings.load(home=home), datetime.now(UTC)
    named = _named(settings, period)
    states = awaited(settings, named, due_day(named, due), of or (), now)
    if as_json:
        print_json({"billing_period": named, "awaited": [each.as_dict() for each in states]})
    else:
        rows = [(each.what, each.state, ", ".join(each.versions), each.due_on.isoformat()) for each in states]
        print_table((named, "state", "versions", "due"), rows)
    refuse_late(named, states)


def _named(settings: Settings, period: str) -> str:
    from datetime import UTC, datetime

    from tollbook.exports.due import LAST, named_period

    return named_period(settings, period, datetime.now(UTC)) if period == LAST else period


def _tell(facts: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        print_table(("export", "value"), facts.items())
    unknown = facts["unknown_effective_costs"]
    if unknown:
        progress(f"charges of unknown effective cost, left out of every amount: {unknown}")
