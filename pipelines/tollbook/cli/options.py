"""Options and output that commands share."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from tollbook.errors import MisuseError, TollbookError
from tollbook.logs import WARNING, JsonLog, Notice, Tell, error_notice, fault_notice, libraries_telling
from tollbook.settings import Settings, chosen_log_format

EXIT_INTERRUPTED = 130

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="Folder of the book [env: TOLLBOOK_HOME; default: ./tollbook-data].",
        show_default=False,
    ),
]
BootstrapServers = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-servers",
        help="Kafka as host:port,... [env: TOLLBOOK_BOOTSTRAP_SERVERS; default: the embedded broker].",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
LogFormat = Annotated[
    str | None,
    typer.Option(
        "--log-format",
        help="How stderr tells what happens: `text`, or `json`, an object a line "
        "[env: TOLLBOOK_LOG_FORMAT; default: text].",
        show_default=False,
    ),
]


Author = Annotated[
    str | None,
    typer.Option("--author", help="Who does it [default: the system's user].", show_default=False),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the book.", show_default=False)]


def author_or_user(author: str | None) -> str:
    """Return who does it: the one told, else the system's user.

    Raises:
        MisuseError: The system does not know who runs this.
    """
    if author:
        return author
    try:
        return getpass.getuser()
    except (KeyError, OSError) as unknown:
        raise MisuseError("expected --author, as the system does not know who runs this") from unknown


def connected(settings: Settings) -> Settings:
    """Return the settings of a book whose lake is at hand: one in an object store is bound, and what is new pulled.

    Raises:
        MisuseError: The home holds another lake than the settings name.
        StoreUnavailableError: The store is away or refuses.
    """
    from tollbook.lake.binding import connect

    connect(settings.lake, settings.lake_url)
    return settings


def progress(message: str) -> None:
    """Tell on stderr what happens."""
    typer.echo(message, err=True)


@contextmanager
def telling(log_format: str | None) -> Iterator[Tell]:
    """Give what tells on stderr what happens, in the format that was chosen.

    As JSON, the end of the command by an error, a fault or Ctrl-C is a line too, so that stderr holds nothing else; the
    exit code is that of the text format.

    Raises:
        MisuseError: There is no such format.
    """
    if chosen_log_format(log_format) == "text":
        yield progress
        return
    log = JsonLog(sys.stderr)
    with libraries_telling(log):
        try:
            yield log
        except TollbookError as error:
            log(error_notice(error))
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            log(Notice("interrupted", event="interrupted", level=WARNING))
            raise SystemExit(EXIT_INTERRUPTED) from None
        except (typer.Exit, typer.TyperException, BrokenPipeError):
            raise
        except Exception as fault:
            log(fault_notice(fault))
            raise typer.Exit(1) from fault


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout; decimals, dates and paths become text, never floats."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows on stdout in aligned columns, an absent value as a dash.

    Args:
        headings: Names of the columns.
        rows: Values, one for each heading.
    """
    lines = [
        [str(each) for each in headings],
        *(["-" if each is None else str(each) for each in row] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
