"""The command line: one file for each noun, arguments and exit codes only.

To add a noun, write `cli/<noun>.py` with a function `register(app: typer.Typer) -> None` that adds its
commands to the app, and put the noun into `NOUNS`; help shows plain commands first, then groups, each in that
order. Such a file imports what is heavy (Beam, dbt, Great Expectations, pyarrow, kafka) inside the command
functions, since every call of `tollbook` imports every file here. What several commands share, options and
output, is in `cli/options.py`.

Data go to stdout, progress and errors to stderr. Exit codes: 0 well, 1 a finding, 2 misuse, 130
interrupted, 141 the reader of stdout left. A command ends well by returning and with a finding by `raise
typer.Exit(1)`; an error that a user can act on is a `TollbookError`, which `main` turns into one message
and its exit code. Anything else is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from tollbook.errors import TollbookError

NOUNS = (
    "demo",
    "broker",
    "flink",
    "simulate",
    "send",
    "watch",
    "meter",
    "rejects",
    "gaps",
    "warehouse",
    "sql",
    "period",
    "dispute",
    "export",
    "prices",
    "reference",
    "reconcile",
    "insight",
    "report",
    "trace",
    "status",
    "lake",
    "forget",
    "upgrade",
    "doctor",
)

EXIT_FINDING = 1
EXIT_MISUSE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
_DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


def build_app() -> typer.Typer:
    """Return the command line with the commands of every noun."""
    app = typer.Typer(
        name="tollbook",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_tollbook)
    for noun in NOUNS:
        importlib.import_module(f"tollbook.cli.{noun}").register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code of the process.

    Args:
        arguments: What follows `tollbook`; by default the process's own arguments.
    """
    command = typer.main.get_command(build_app())
    try:
        code = command.main(args=arguments, prog_name="tollbook", standalone_mode=False)
        sys.stdout.flush()
    except TollbookError as error:
        _say(str(error))
        return error.exit_code
    except typer.TyperException as error:
        _say(error)
        return EXIT_MISUSE
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        if error.errno not in _DISK_FAULTS:
            raise
        _say(f"expected a disk that can be written, got: {error}")
        return EXIT_FINDING
    except SystemExit as stop:  # Typer's own answer to a broken pipe
        if isinstance(stop.__context__, BrokenPipeError):
            return _reader_left()
        raise
    if code == EXIT_INTERRUPTED:
        _say("interrupted")
    return int(code or 0)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"tollbook {version('tollbook')}")
        raise typer.Exit


def _tollbook(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Tollbook: the ledger of an organisation's AI tokens."""


def _say(error: str | typer.TyperException) -> None:
    """Tell an error on stderr; misuse of a command also shows how it is used."""
    if isinstance(error, typer.TyperException) and hasattr(error, "show"):
        error.show()
    else:
        typer.echo(f"tollbook: {error}", err=True)


def _reader_left() -> int:
    """End quietly when `head` has seen enough; Python would complain as it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_BROKEN_PIPE
