"""`tollbook watch`: what tools write to local files, sent as they write it."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tollbook.cli.options import BootstrapServers, Home, Json, print_json, print_table, progress
from tollbook.errors import MisuseError
from tollbook.settings import Settings

_FOLDER = Path("~/.claude/projects")
_COLUMNS = ("topic", "files", "lines", "records", "no_call", "unreadable", "started_again")
_EXIT_INTERRUPTED = 130


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    watch = typer.Typer(no_args_is_help=True, help="Follow a tool's local logs.", rich_markup_mode=None)
    watch.command(name="claude-code")(claude_code)
    parent.add_typer(watch, name="watch")


def claude_code(
    *,
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            "--folder",
            help="Folder of session files, with those in it; may be given again [default: ~/.claude/projects].",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Send what is there now, then end.")] = False,
    interval_seconds: Annotated[
        float, typer.Option("--interval", min=0.05, help="Seconds between looks at the files.")
    ] = 1.0,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            help="KEY=VALUE to say whom the calls are for, such as team=search; may be given again. The dimension "
            "rules read it as metadata:KEY.",
        ),
    ] = None,
    topic: Annotated[
        str | None, typer.Option("--topic", help="Topic to use [default: llm.usage.claude_code].", show_default=False)
    ] = None,
    home: Home = None,
    bootstrap_servers: BootstrapServers = None,
    as_json: Json = False,
) -> None:
    """Send the model calls that Claude Code notes in its session files.

    Only counts, ids and names leave this machine: prompts, answers and tools' arguments are taken out before, folders
    and branches too unless a dimension rule asks for them. Where it stopped is kept under TOLLBOOK_HOME/watch, so
    it goes on there; a call that is told twice counts once. Ctrl-C and SIGTERM end it after the run under way. Ends
    with exit 1 if lines could not be read.
    """
    from dataclasses import asdict

    from tollbook.broker.topics import topic_of_format
    from tollbook.watch.follow import CLAUDE_CODE, WatchOptions, watch

    options = WatchOptions(
        settings=Settings.load(home=home, bootstrap_servers=bootstrap_servers),
        folders=[each.expanduser() for each in folder or [_FOLDER]],
        topic=topic or topic_of_format(CLAUDE_CODE),
        labels=_labels(label or []),
    )
    # The watcher says itself what Kafka does; its client's own log would say it five times.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    with _stopping() as stop:
        done = watch(
            options,
            tell=progress,
            wait=None if once else lambda: not stop.wait(interval_seconds),
            should_stop=stop.is_set,
        )
    told = asdict(done)
    if as_json:
        print_json(told)
    else:
        print_table(_COLUMNS, [[told[column] for column in _COLUMNS]])
    if once and stop.is_set():
        raise typer.Exit(_EXIT_INTERRUPTED)
    if done.unreadable:
        raise typer.Exit(1)


def _labels(told: list[str]) -> dict[str, str]:
    labels = {}
    for each in told:
        key, equals, value = each.partition("=")
        if not (key and equals and value):
            raise MisuseError(f"expected --label KEY=VALUE, got {each!r}")
        labels[key] = value
    return labels


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Turn the first SIGINT or SIGTERM into a wish to stop; a second one ends the process at once."""
    wish = threading.Event()

    def note(number: int, _frame: object) -> None:
        wish.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
