"""`tollbook gaps`: where Kafka did not go on where the book ends, and the operator's word to go on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollbook.cli.options import (
    BootstrapServers,
    Home,
    Json,
    author_or_user,
    connected,
    print_json,
    print_table,
    progress,
)
from tollbook.errors import MisuseError
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tollbook.lake.gaps import GapRecord

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="gaps", help="Offsets that Kafka lost before they were read: see, and decide.")


@app.command("list")
def list_gaps(*, home: Home = None, as_json: Json = False) -> None:
    """List every gap that the meter found, with what became of it; exit 1 while one is open.

    The meter stops at an open gap, so that nothing is skipped in silence.
    """
    from tollbook.lake.gaps import OPEN, load_gaps
    from tollbook.lake.manifest import newest

    settings = connected(Settings.load(home=home))
    if not settings.lake.is_dir():
        raise MisuseError(
            f"expected a lake at {settings.lake}, found none: is this the home? `tollbook meter` makes one"
        )
    records = load_gaps(settings.lake, newest(settings.lake))
    if as_json:
        print_json([_plain(each) for each in records])
    elif records:
        print_table(
            ("gap", "state", "kind", "partition", "found", "from", "to", "lost", "author", "reason"),
            [
                (
                    each.number,
                    each.state,
                    each.gap.kind,
                    each.gap.place,
                    each.gap.detected_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
                    each.gap.first_offset,
                    each.gap.next_offset,
                    f"{each.gap.lost_offsets:,}" + ("" if each.gap.loss_is_known else " or more"),
                    each.author,
                    each.reason,
                )
                for each in records
            ],
        )
    is_open = [each for each in records if each.state == OPEN]
    for each in is_open:
        progress(f"gap {each.number}: {each.gap.words()}")
    if is_open:
        raise typer.Exit(1)


@app.command()
def accept(
    places: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TOPIC-PARTITION]...", help="Partitions whose gaps are accepted; a topic means all of them."
        ),
    ] = None,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the book.")],
    all_open: Annotated[bool, typer.Option("--all", help="Accept every open gap.")] = False,
    author: Annotated[
        str | None,
        typer.Option("--author", help="Who accepts [default: the system's user].", show_default=False),
    ] = None,
    home: Home = None,
    bootstrap_servers: BootstrapServers = None,
    as_json: Json = False,
) -> None:
    """Let the meter go on without what open gaps took.

    What is known to be lost is counted as lost in the book. Of a log that began anew all is read, from its first
    offset on. Refused while a meter runs, and when Kafka is no longer as it was when the gap was found.
    """
    if bool(places) == all_open:
        raise MisuseError("expected one of TOPIC-PARTITION and --all")
    from tollbook.cli.meter import quiet_imports

    with quiet_imports():
        from tollbook.stream.gap_acceptance import accept_gaps

    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    settings = connected(Settings.load(home=home, bootstrap_servers=bootstrap_servers))
    done = accept_gaps(settings, places or None, author=author_or_user(author), reason=reason)
    if as_json:
        print_json({"commit": done.commit, "gaps": [_plain(each) for each in done.gaps]})
        return
    print_table(
        ("gap", "partition", "kind", "lost", "goes on at", "commit"),
        [
            (
                each.number,
                each.gap.place,
                each.gap.kind,
                f"{each.gap.lost_offsets:,}" + ("" if each.gap.loss_is_known else " or more"),
                each.gap.next_offset,
                done.commit,
            )
            for each in done.gaps
        ],
    )


def _plain(record: GapRecord) -> dict[str, Any]:
    """Return a gap as one flat object."""
    import msgspec

    gap = msgspec.to_builtins(record.gap)
    del gap["entry"]
    return {
        "gap_number": record.number,
        "state": record.state,
        **gap,
        "lost_offsets": record.gap.lost_offsets,
        "settled_at": None if record.settled_at is None else msgspec.to_builtins(record.settled_at),
        "author": record.author,
        "reason": record.reason,
        "words": record.gap.words(),
    }
