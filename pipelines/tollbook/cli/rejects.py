"""`tollbook rejects`: records that were not accepted, listed, shown, replayed and dismissed."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollbook.cli.options import BootstrapServers, Home, Json, connected, print_table, progress
from tollbook.errors import MisuseError
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tollbook.deadletters.filters import RejectFilter
    from tollbook.deadletters.replay import ReplayResult

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of rejects, topic:partition:offset[:item].")]
Reasons = Annotated[
    list[str] | None, typer.Option("--reason", help="Reason, such as invalid_json; may be given again.")
]
Topics = Annotated[list[str] | None, typer.Option("--topic", help="Topic that they came from; may be given again.")]
Partition = Annotated[int | None, typer.Option("--partition", min=0, help="Partition that they came from.")]
FromOffset = Annotated[int | None, typer.Option("--from-offset", min=0, help="First offset.")]
ToOffset = Annotated[int | None, typer.Option("--to-offset", min=0, help="Offset after the last.")]
Formats = Annotated[
    list[str] | None, typer.Option("--format", help="Format that they were read as; may be given again.")
]
Source = Annotated[str | None, typer.Option("--source", help="`source` of their events, where that is known.")]
Reporter = Annotated[str | None, typer.Option("--reporter", help="`reporter` of their events, where that is known.")]
Since = Annotated[
    str | None, typer.Option("--since", help="Rejected at or after: a date or an RFC 3339 time; UTC without a zone.")
]
Until = Annotated[str | None, typer.Option("--until", help="Rejected before: a date or an RFC 3339 time.")]
State = Annotated[str, typer.Option("--state", help="`open`, `replayed`, `dismissed` or `all`.")]


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="rejects", help="Records that were not accepted: why, and how to get them in.")


@app.command("list")
def list_rejects(
    *,
    ids: Ids = None,
    reason: Reasons = None,
    topic: Topics = None,
    partition: Partition = None,
    from_offset: FromOffset = None,
    to_offset: ToOffset = None,
    read_as: Formats = None,
    source: Source = None,
    reporter: Reporter = None,
    since: Since = None,
    until: Until = None,
    state: State = "open",
    limit: Annotated[int, typer.Option("--limit", min=0, help="Most rejects to list; all are counted.")] = 20,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Count rejects by reason and topic, and list the newest of them."""
    from tollbook.deadletters.find import find_rejects
    from tollbook.deadletters.shown import harmless, plain

    wanted = _filter(
        ids, reason, topic, partition, from_offset, to_offset, read_as, source, reporter, since, until, state
    )
    found = find_rejects(connected(Settings.load(home=home)).lake, wanted, limit=limit)
    more = found.matched - len(found.rejects)
    if as_json:
        counts = [plain(each) for each in found.counts]
        rejects = [plain(each) for each in found.rejects]
        _print_json({"rejects": found.matched, "by_reason": counts, "listed": rejects, "not_listed": more})
        return
    print_table(
        ("rejects", "reason", "topic", "first", "last"),
        [
            (
                f"{each.rejects:,}",
                each.reason,
                each.topic,
                _instant(each.first_rejected_at),
                _instant(each.last_rejected_at),
            )
            for each in found.counts
        ],
    )
    if found.rejects:
        typer.echo()
        print_table(
            ("reject_id", "rejected_at", "reason", "field", "expected", "got", "kept", "state"),
            [
                (
                    each.reject_id,
                    _instant(each.rejected_at),
                    each.reason,
                    None if each.field is None else harmless(each.field),
                    harmless(each.expected),
                    harmless(each.got),
                    each.value_state,
                    each.state,
                )
                for each in found.rejects
            ],
        )
    if more:
        typer.echo(f"and {more:,} more; --limit lists more, filters fewer")


@app.command()
def show(
    reject_id: Annotated[str, typer.Argument(help="Id of the reject, topic:partition:offset[:item].")],
    *,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show one reject: why, where it stood, and its value as it is kept."""
    from tollbook.deadletters.shown import as_document, as_lines, whole_reject

    reject, row = whole_reject(connected(Settings.load(home=home)).lake, reject_id)
    if as_json:
        _print_json(as_document(reject, row))
    else:
        for name, text in as_lines(reject, row):
            typer.echo(f"{name:<16}{text}")


@app.command()
def replay(
    *,
    ids: Ids = None,
    reason: Reasons = None,
    topic: Topics = None,
    partition: Partition = None,
    from_offset: FromOffset = None,
    to_offset: ToOffset = None,
    read_as: Formats = None,
    source: Source = None,
    reporter: Reporter = None,
    since: Since = None,
    until: Until = None,
    state: State = "open",
    to: Annotated[
        str | None,
        typer.Option("--to", help="Topic to produce to [default: the one each came from].", show_default=False),
    ] = None,
    as_format: Annotated[
        str | None, typer.Option("--as-format", help="Read the values as this format instead of the one that failed.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE to set in native events, FIELD= to take away; may be given again."),
    ] = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Send also what would be rejected again as things stand.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    home: Home = None,
    bootstrap_servers: BootstrapServers = None,
    as_json: Json = False,
) -> None:
    """Produce open rejects to their topics again, with value, key and headers as they came.

    What cannot be sent is counted with the reason and stays open; then it exits 1. Doing it twice counts nothing
    twice: a call is known by its source and event_id.
    """
    from tollbook.deadletters.replay import ReplayOptions, replay_rejects

    wanted = _filter(
        ids, reason, topic, partition, from_offset, to_offset, read_as, source, reporter, since, until, state
    )
    options = ReplayOptions(
        wanted=wanted,
        to_topic=to,
        read_as=as_format,
        changes=dict(_change(each) for each in changes or ()),
        unchecked=unchecked,
        dry_run=dry_run,
    )
    # What Kafka does is said by the error that ends the command; its client's own log would say it five times.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    settings = connected(Settings.load(home=home, bootstrap_servers=bootstrap_servers))
    result = replay_rejects(settings, options, tell=progress)
    _tell_replay(result, dry_run=dry_run, as_json=as_json)
    if result.refused:
        raise typer.Exit(1)


@app.command()
def dismiss(
    *,
    ids: Ids = None,
    reason: Reasons = None,
    topic: Topics = None,
    partition: Partition = None,
    from_offset: FromOffset = None,
    to_offset: ToOffset = None,
    read_as: Formats = None,
    source: Source = None,
    reporter: Reporter = None,
    since: Since = None,
    until: Until = None,
    note: Annotated[str, typer.Option("--note", help="Why nothing is to be done about them; it is kept.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Note that nothing is to be done about rejects: they stay in the book and in its balance, but are open no more.

    It wants ids or another filter, so that not all are dismissed by an oversight.
    """
    from tollbook.deadletters.dismiss import dismiss_rejects

    wanted = _filter(
        ids, reason, topic, partition, from_offset, to_offset, read_as, source, reporter, since, until, "open"
    )
    count = dismiss_rejects(connected(Settings.load(home=home)).lake, wanted, note=note, now=datetime.now(UTC))
    if as_json:
        _print_json({"dismissed": count})
    else:
        print_table(("dismissed",), [(f"{count:,}",)])


def _filter(
    ids: list[str] | None,
    reason: list[str] | None,
    topic: list[str] | None,
    partition: int | None,
    from_offset: int | None,
    to_offset: int | None,
    read_as: list[str] | None,
    source: str | None,
    reporter: str | None,
    since: str | None,
    until: str | None,
    state: str,
) -> RejectFilter:
    from tollbook.deadletters.filters import RejectFilter

    return RejectFilter(
        ids=tuple(ids or ()),
        reasons=tuple(reason or ()),
        topics=tuple(topic or ()),
        partition=partition,
        from_offset=from_offset,
        to_offset=to_offset,
        formats=tuple(read_as or ()),
        source=source,
        reporter=reporter,
        rejected_from=_time(since, "--since"),
        rejected_to=_time(until, "--until"),
        state=state,
    )


def _time(told: str | None, option: str) -> datetime | None:
    if told is None:
        return None
    try:
        instant = datetime.fromisoformat(told)
    except ValueError:
        raise MisuseError(f"expected a date or an RFC 3339 time for {option}, got {told!r}") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _change(told: str) -> tuple[str, str]:
    name, equals, value = told.partition("=")
    if not equals or not name:
        raise MisuseError(f"expected --set FIELD=VALUE, got {told!r}")
    return name, value


def _tell_replay(result: ReplayResult, *, dry_run: bool, as_json: bool) -> None:
    from tollbook.deadletters.kept import REFUSALS
    from tollbook.deadletters.shown import harmless, plain

    refusals = result.sorted_refusals()
    if as_json:
        _print_json(
            {
                "dry_run": dry_run,
                "rejects": result.matched,
                "replayed": result.replayed,
                "records": result.records,
                "by_topic": dict(result.topics),
                "refused": [{**plain(each), "meaning": REFUSALS[each.code]} for each in refusals],
            }
        )
        return
    done = "would be replayed" if dry_run else "replayed"
    print_table(
        ("rejects", done, "records", "topics", "refused"),
        [
            (
                f"{result.matched:,}",
                f"{result.replayed:,}",
                f"{result.records:,}",
                ", ".join(sorted(result.topics)) or None,
                f"{result.refused:,}",
            )
        ],
    )
    if refusals:
        typer.echo()
        print_table(
            ("refused", "why", "detail", "such as"),
            [(f"{each.rejects:,}", each.code, harmless(each.detail) or None, each.examples[0]) for each in refusals],
        )
        for code in dict.fromkeys(each.code for each in refusals):
            typer.echo(f"{code}: {REFUSALS[code]}")


def _instant(told: datetime) -> str:
    return told.strftime("%Y-%m-%dT%H:%M:%SZ")


def _print_json(value: Any) -> None:
    """Print JSON in ASCII alone: a sender's words stand in it, and a terminal may be what reads it."""
    typer.echo(json.dumps(value, indent=2))
