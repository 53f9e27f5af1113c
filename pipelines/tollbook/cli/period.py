"""`tollbook period`: billing periods, and closing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from tollbook.closing.closes import CloseEntry

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Period = Annotated[str, typer.Argument(metavar="PERIOD", help="Billing period, YYYY-MM.", show_default=False)]


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="period", help="Billing periods: how far they are closed, and closing them.")


@app.command()
def status(*, home: Home = None, as_json: Json = False) -> None:
    """Show each billing period: its state, what it is charged, what is accrued, and who closed it."""
    from tollbook.closing.overview import period_overview

    periods = period_overview(connected(Settings.load(home=home)))
    if as_json:
        print_json([each.as_dict() for each in periods])
        return
    print_table(
        (
            "period",
            "state",
            "charges",
            "effective USD",
            "corrections USD",
            "accrued USD",
            "unpriced calls",
            "by",
            "approved",
        ),
        [
            (
                each.period,
                each.state,
                f"{each.charges:,}",
                f"{each.effective_cost:f}",
                f"{each.corrections:f}",
                f"{each.accrued:f}",
                f"{each.unpriced_calls:,}",
                each.proposed_by,
                each.closed_by,
            )
            for each in periods
        ],
    )


@app.command()
def close(
    period: Period,
    *,
    soft: Annotated[bool, typer.Option("--soft", help="State accruals; invoices may still come.")] = False,
    approve: Annotated[bool, typer.Option("--approve", help="Close it for good, as another proposed it.")] = False,
    reason: Reason,
    author: Author = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Close a billing period: first --soft, then without an option to propose the close, then --approve by another.

    A closed period never opens again: what is found out later becomes corrections in the first open one. Exits 1 and
    says what stands against it while something is unbalanced, unpriced, disputed or unreconciled.
    """
    from tollbook.closing.close import CloseRequest, approve_close, propose_close, soft_close

    if soft and approve:
        raise MisuseError("expected one of --soft and --approve")
    settings = connected(Settings.load(home=home))
    request = CloseRequest(period, author_or_user(author), reason)
    entry = (soft_close if soft else approve_close if approve else propose_close)(settings, request)
    _tell(entry, as_json=as_json)
    if approve:
        progress(f"{period} is closed; run `tollbook warehouse build` to publish it so")
    elif not soft:
        progress(f"{period} is frozen as it is; another closes it with `tollbook period close {period} --approve`")


def _tell(entry: CloseEntry, *, as_json: bool) -> None:
    import msgspec

    facts = msgspec.to_builtins(entry)
    if as_json:
        print_json(facts)
        return
    totals = facts.pop("totals")
    facts["files"] = len(facts["files"])
    del facts["reason"]
    print_table(("close", "value"), (facts | totals).items())
