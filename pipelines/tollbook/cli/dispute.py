"""`tollbook dispute`: disputes of charge lines, and adjusting one."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
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
    from tollbook.closing.adjustments import AdjustmentEntry
    from tollbook.closing.disputes import Move

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Line = Annotated[str, typer.Argument(metavar="CHARGE_ID", help="Line of finance.fct_charges.", show_default=False)]
Amount = Annotated[
    str | None,
    typer.Option("--amount", help="What moves, in the line's pricing currency [default: all].", show_default=False),
]
ToTeam = Annotated[str, typer.Option("--to-team", help="Team that bears it instead.")]
ToWorkflow = Annotated[str, typer.Option("--to-workflow", help="Workflow that bears it instead.")]
NOBODY = "unallocated"


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="dispute", help="Disputes of charge lines, what was decided, and adjustments.")


@app.command(name="list")
def list_disputes(*, home: Home = None, as_json: Json = False) -> None:
    """Show disputes and adjustments; exit 1 while a dispute is open."""
    from tollbook.closing.adjustments import ADJUSTED, OPENED, read_adjustments

    adjustments = read_adjustments(connected(Settings.load(home=home)).lake)
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(list(adjustments.entries)))
    else:
        rows = []
        for entry in adjustments.entries:
            decided = adjustments.decision(entry.number) if entry.step == OPENED else entry
            if entry.step in {OPENED, ADJUSTED}:
                state = "open" if decided is None else decided.step
                moved = None if decided is None or decided.amount is None else f"{decided.amount} {decided.currency}"
                told = (entry.number, entry.period, entry.team, entry.charge_id, state, moved)
                rows.append((*told, entry.author, None if decided is None else decided.author, entry.reason))
        print_table(("number", "period", "team", "charge_id", "state", "moved", "by", "decided by", "reason"), rows)
    if adjustments.open_disputes():
        raise typer.Exit(1)


@app.command(name="open")
def open_one(
    charge_id: Line, *, reason: Reason, author: Author = None, home: Home = None, as_json: Json = False
) -> None:
    """Dispute a line; its billing period cannot be closed before somebody else decides."""
    from tollbook.closing.disputes import open_dispute

    settings = connected(Settings.load(home=home))
    _tell(open_dispute(settings, charge_id, author=author_or_user(author), reason=reason), as_json=as_json)


@app.command()
def resolve(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="Number of the dispute.", show_default=False)],
    *,
    uphold: Annotated[bool, typer.Option("--uphold/--reject", help="Whether the team is right.", show_default=False)],
    amount: Amount = None,
    to_team: ToTeam = NOBODY,
    to_workflow: ToWorkflow = NOBODY,
    reason: Reason,
    author: Author = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Decide a dispute of another. Upheld, the amount moves to another team in the period that is open now."""
    from tollbook.closing.disputes import resolve_dispute

    settings = connected(Settings.load(home=home))
    entry = resolve_dispute(
        settings,
        number,
        upheld=uphold,
        author=author_or_user(author),
        reason=reason,
        move=_move(amount, to_team, to_workflow),
    )
    _tell(entry, as_json=as_json)


@app.command()
def adjust(
    charge_id: Line,
    *,
    amount: Amount = None,
    to_team: ToTeam = NOBODY,
    to_workflow: ToWorkflow = NOBODY,
    reason: Reason,
    author: Author = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Move an amount of a line to another team without a dispute, as an approver of the closing policy may."""
    from tollbook.closing.disputes import adjust_line

    settings = connected(Settings.load(home=home))
    move = _move(amount, to_team, to_workflow)
    _tell(adjust_line(settings, charge_id, move, author=author_or_user(author), reason=reason), as_json=as_json)


def _move(amount: str | None, team: str, workflow: str) -> Move:
    from tollbook.closing.disputes import Move

    try:
        told = None if amount is None else Decimal(amount)
    except InvalidOperation:
        raise MisuseError(f"expected a decimal amount, such as 12.50, got {amount!r}") from None
    if told is not None and (not told.is_finite() or -told.as_tuple().exponent > 12):  # type: ignore[operator]
        raise MisuseError(f"expected an amount of at most 12 decimal places, got {amount!r}")
    return Move(told, team, workflow)


def _tell(entry: AdjustmentEntry, *, as_json: bool) -> None:
    import msgspec

    facts = msgspec.to_builtins(entry)
    if as_json:
        print_json(facts)
        return
    print_table(("dispute", "value"), [(name, value) for name, value in facts.items() if not isinstance(value, dict)])
    if entry.amount is not None:
        progress(f"posted in {entry.posted_period}; run `tollbook warehouse build` to see it charged")
