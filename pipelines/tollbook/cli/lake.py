"""`tollbook lake`: what the lake is made of, its upkeep, and its files at any commit that is kept."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollbook.cli.options import Home, Json, LogFormat, connected, print_json, print_table, telling
from tollbook.errors import MisuseError
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tollbook.lake.expiry import Retention

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="lake", help="The Parquet lake: its state, its upkeep, its past.")


@app.command()
def status(*, home: Home = None, as_json: Json = False) -> None:
    """Show commits, checkpoints, files, rows and bytes by table, and what upkeep has left to do."""
    from tollbook.lake.live_file import built_commit
    from tollbook.lake.overview import lake_state

    settings = _with_a_lake(home)
    state = lake_state(settings.lake, now=datetime.now(UTC), built_commit=built_commit(settings.serve))
    if state is None:
        raise MisuseError(f"expected a lake with commits at {settings.lake}, found none: `tollbook meter` makes them")
    if as_json:
        print_json(state.as_dict())
        return
    print_table(("lake", "value"), [pair for pair in state.as_dict().items() if pair[0] != "tables"])
    typer.echo()
    columns = ("table", "files", "small_files", "rows", "bytes", "dates")
    print_table(columns, ([getattr(each, name) for name in columns] for each in state.tables))


@app.command()
def compact(
    *,
    until: Annotated[
        str | None,
        typer.Option("--until", help="Compact files of commits made up to this time [default: an hour ago]."),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Compact files of every commit there is.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    home: Home = None,
    as_json: Json = False,
    log_format: LogFormat = None,
) -> None:
    """Make few, sorted and well-compressed files of the many of hours that are over, then delete what has expired.

    A meter, builds and readers go on meanwhile. A kill at any moment loses nothing, and the next run goes on. Usage
    that is compacted is committed to the Delta table `lake/delta/usage` too. Run it once an hour.
    """
    from tollbook.lake.compaction import CLOSED_AFTER
    from tollbook.lake.compaction import compact as compact_lake
    from tollbook.lake.live_file import built_commit

    if now and until is not None:
        raise MisuseError("expected --now or --until, got both")
    settings = _with_a_lake(home)
    begun = datetime.now(UTC)
    bound = begun if now else begun - CLOSED_AFTER if until is None else _instant("--until", until)
    with telling(log_format) as tell:
        done = compact_lake(
            settings.lake,
            until=bound,
            clock=lambda: datetime.now(UTC),
            built_commit=built_commit(settings.serve),
            dry_run=dry_run,
            tell=tell,
        )
        if not dry_run:
            _expire(settings)
    _print(done.as_dict(), "compaction", as_json=as_json)


@app.command()
def expire(
    *,
    keep_days: Annotated[
        float, typer.Option("--keep-days", min=0, help="How long the past can be read, an hour apart.")
    ] = 7,
    keep_hours: Annotated[
        float, typer.Option("--keep-hours", min=0, help="How long each single commit can be read.")
    ] = 1,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Delete manifests, checkpoints and replaced files that nobody can ask for any more. Data in force stay."""
    from tollbook.lake.expiry import Retention

    settings = _with_a_lake(home)
    kept = Retention(every_commit=timedelta(hours=keep_hours), checkpoints=timedelta(days=keep_days))
    _print(_expire(settings, kept), "expiry", as_json=as_json)


@app.command()
def push(
    *,
    url: Annotated[
        str | None,
        typer.Option("--to", help="The store: s3://bucket/prefix, gs://... or az://... [env: TOLLBOOK_LAKE]."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Put a lake on disk into an object store, whole; from then on the store is the lake and the folder a copy.

    Nothing meters or compacts meanwhile. A push that was killed goes on when it is run again.
    """
    from tollbook.lake.push import push as push_lake

    settings = Settings.load(home=home)
    chosen = url or settings.lake_url
    if chosen is None:
        raise MisuseError("expected a store to push to: name it by --to or TOLLBOOK_LAKE")
    _print(asdict(push_lake(settings.lake, chosen, now=datetime.now(UTC))), "push", as_json=as_json)


@app.command()
def files(
    *,
    table: Annotated[str, typer.Option("--table", help="`usage`, `usage_minute`, `rejects` or `unparsed`.")] = "usage",
    commit: Annotated[
        int | None, typer.Option("--commit", min=1, help="The lake as it was after this commit [default: the newest].")
    ] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="The lake as it was at this time.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List the Parquet files that are in force at a commit, one a line, to be read by any engine.

    Each path leads to an event date in its folder's name; of a lake in an object store they are URLs. A commit can be
    read as long as `lake status` says; one whose files were erased since cannot, and the error says so.
    """
    from tollbook.lake.layout import DATE_KEY
    from tollbook.lake.remote import located
    from tollbook.lake.travel import files_in_force

    if table not in DATE_KEY:
        raise MisuseError(f"expected --table to be one of {', '.join(DATE_KEY)}, got {table!r}")
    if commit is not None and as_of is not None:
        raise MisuseError("expected --commit or --as-of, got both")
    settings = _with_a_lake(home)
    instant = _instant("--as-of", as_of) if as_of is not None else None
    snapshot, found = files_in_force(settings.lake, table=table, commit=commit, as_of=instant)
    if as_json:
        rows = [
            {
                "path": located(settings.lake, file.entry.path),
                "rows": file.entry.rows,
                "bytes": file.entry.bytes,
                "event_date": file.entry.event_date,
                "commit": file.commit,
                "schema_version": file.entry.schema_version,
            }
            for file in found
        ]
        print_json(
            {
                "commit": snapshot.manifest.commit if snapshot is not None else 0,
                "committed_at": snapshot.manifest.committed_at if snapshot is not None else None,
                "table": table,
                "files": rows,
            }
        )
        return
    for file in found:
        typer.echo(located(settings.lake, file.entry.path))


def _expire(settings: Settings, retention: Retention | None = None) -> dict[str, int]:
    from tollbook.lake.delta import KEEP_HOURS, clean_delta
    from tollbook.lake.expiry import expire as expire_lake
    from tollbook.lake.lock import upkeep_lock
    from tollbook.stream.rejects import published_commit

    with upkeep_lock(settings.lake):
        now = datetime.now(UTC)
        needed = published_commit(settings.lake) + 1
        gone = expire_lake(settings.lake, now=now, retention=retention, needed_from=needed)
        hours = KEEP_HOURS if retention is None else int(retention.checkpoints.total_seconds() // 3600)
        delta_files = clean_delta(settings.lake, keep_hours=hours)
    return asdict(gone) | {"delta_files": delta_files}


def _print(facts: dict[str, Any], what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        print_table((what, "value"), facts.items())


def _with_a_lake(home: Path | None) -> Settings:
    settings = connected(Settings.load(home=home))
    if not settings.lake.is_dir():
        raise MisuseError(
            f"expected a lake at {settings.lake}, found none: is this the home? `tollbook meter` makes one"
        )
    return settings


def _instant(option: str, text: str) -> datetime:
    """Return a date or an RFC 3339 time as an instant; UTC without a zone."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise MisuseError(f"expected {option} to be a date or an RFC 3339 time, got {text!r}") from None
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
