"""`tollbook reconcile`: events against vendors' reports against invoices."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from tollbook.cli.options import (
    Author,
    Home,
    Json,
    Reason,
    author_or_user,
    connected,
    print_json,
    print_table,
    progress,
)
from tollbook.errors import MisuseError
from tollbook.settings import Settings

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="reconcile")


@app.callback()
def reconcile(
    context: typer.Context,
    *,
    period: Annotated[
        str | None, typer.Option(help="Billing period, YYYY-MM; by default all.", show_default=False)
    ] = None,
    vendor: Annotated[str | None, typer.Option(help="Vendor; by default all.", show_default=False)] = None,
    by_day: Annotated[bool, typer.Option("--by-day", help="A row for each day, model and project.")] = False,
    tolerance: Annotated[
        str | None,
        typer.Option(
            help="Largest residual by vendor, period and reason that is no finding, in USD "
            "[default: that of the closing policy].",
            show_default=False,
        ),
    ] = None,
    tolerance_percent: Annotated[
        str | None,
        typer.Option(
            help="The same in percent of what is reported or invoiced; the larger one counts [default: likewise].",
            show_default=False,
        ),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show events against vendors' reports and against invoices, with a reason for every residual.

    Reads the published file. Exit 1 when a residual is beyond the tolerance.
    """
    if context.invoked_subcommand is not None:
        return
    from tollbook.closing.policy import closing_policy
    from tollbook.reconcile.findings import Tolerance, open_published, summed, unreconciled

    start = None if period is None else _first_day(period)
    settings = Settings.load(home=home)
    policy = closing_policy(settings).tolerance
    allowed = Tolerance(
        policy.usd if tolerance is None else _amount("--tolerance", tolerance),
        policy.percent if tolerance_percent is None else _amount("--tolerance-percent", tolerance_percent),
    )
    with open_published(settings) as published:
        rows = summed(published, start, vendor, by_day=by_day)
        findings = unreconciled(published, start, vendor=vendor, tolerance=allowed)
    if as_json:
        print_json({"rows": [_plain(row) for row in rows], "findings": [_plain(each.as_dict()) for each in findings]})
    else:
        headings = list(rows[0]) if rows else ["comparison", "vendor", "billing_period_start", "residual_kind"]
        print_table(headings, [[_shown(value) for value in row.values()] for row in rows])
    for finding in findings:
        progress(finding.message)
    if findings:
        raise typer.Exit(1)


@app.command()
def load(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Files of one report: pages of OpenAI's usage or costs, of Anthropic's usage or cost report (JSON), "
            "or an export in FOCUS form (CSV, gzipped CSV, Parquet)."
        ),
    ],
    *,
    vendor: Annotated[
        str, typer.Option(help="Who reports, as providers of events and invoices name it.", show_default=False)
    ],
    author: Author = None,
    reason: Reason,
    service: Annotated[
        list[str] | None,
        typer.Option(
            help="ServiceName of a FOCUS export that is taken beside those of the category 'AI and Machine Learning'.",
            show_default=False,
        ),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Keep what a vendor reports of its usage or cost; a later report of the same time supersedes an earlier one.

    A file with a fault refuses all of them. The next `warehouse build` reconciles by it.
    """
    from tollbook.reconcile.load import load_report

    settings = connected(Settings.load(home=home))
    loaded = load_report(
        files,
        settings,
        vendor=vendor,
        author=author_or_user(author),
        reason=reason,
        now=datetime.now(UTC),
        services=service or (),
    )
    facts = loaded.as_dict()
    if as_json:
        print_json(facts)
        return
    for file in facts["files"]:
        left_out = f", {file['left_out']} rows of other services left out" if file["left_out"] else ""
        typer.echo(f"{file['name']}: {file['rows']} rows{left_out}")
    for cover in facts["covers"]:
        partial = f"; partial days {', '.join(cover['partial_days'])}" if cover["partial_days"] else ""
        typer.echo(
            f"{vendor} {cover['kind']} ({cover['scope']}): {cover['first']} to {cover['end']}, "
            f"{cover['buckets']} buckets, {cover['empty_buckets']} empty{partial}"
        )
    progress(f"report {facts['report']}" if loaded.is_new else f"unchanged: report {facts['report']} has these files")


def _first_day(period: str) -> Any:
    try:
        return datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise MisuseError(f"expected a billing period such as 2026-08, got {period!r}") from None


def _amount(option: str, text: str) -> Decimal:
    try:
        told = Decimal(text)
    except InvalidOperation:
        told = Decimal(-1)
    if not told.is_finite() or told < 0:
        raise MisuseError(f"expected a decimal of zero or more beside {option}, got {text!r}")
    return told


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in row.items()}


def _shown(value: Any) -> Any:
    return f"{value:,.6f}" if isinstance(value, Decimal) else f"{value:,}" if isinstance(value, int) else value
