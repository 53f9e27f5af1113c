"""What to try after the demo, in words that can be pasted into the shell it was started from."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from tollbook.settings import Settings

_QUERY = (
    "select model, sum(calls) as calls, sum(list_cost) as list_cost "
    "from engineering.fct_usage_daily group by all order by list_cost desc"
)


def next_steps(settings: Settings, page: Path, report: Path) -> str:
    """Return what to try next.

    Args:
        settings: The demo's home.
        page: The demo's page.
        report: The page that the report site opens on.
    """
    program = command()
    home = "" if Settings.load().home == settings.home else f" --home {shlex.quote(str(settings.home))}"
    return "\n".join(
        [
            "Try next:",
            f"  open {near(report)} in a browser: why the bill rose while tokens became cheaper",
            f"  open {near(page)} for the whole book on one page",
            f'  {program} sql "{_QUERY}"{home}',
            f"  {program} warehouse status{home}",
            f"  {program} prices show claude-sonnet-5 --at 2026-09-01T00:00:00Z",
            "Your own usage, in a book of its own (the README says what an event is):",
            "  export TOLLBOOK_HOME=~/tollbook",
            f"  {program} broker up && {program} send events.jsonl",
            f"  {program} meter --until-caught-up && {program} warehouse build",
        ]
    )


def command() -> str:
    """Return how this program was called, as short as it can be called again from here."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m tollbook"
    return shlex.quote(near(called)) if called.is_absolute() else "tollbook"


def near(path: Path) -> str:
    """Return a path as it can be written from here: without the working folder, where it is below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
