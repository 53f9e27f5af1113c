"""Where the demo may run: in an empty home, or in one that holds this very simulation and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tollbook.errors import MisuseError
from tollbook.lake.manifest import newest_commit
from tollbook.settings import Settings

_ADVICE = "Give the demo a home of its own: tollbook demo --home FOLDER"


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Files of the demo in a home.

    Attributes:
        events: The simulated traffic, native JSON lines.
        truth: What the simulator says must come of it; also the sign that the home is a demo's.
        owners: The simulated organisation's owner rules.
        reference: Folder of its other reference files.
        log: What libraries logged.
        page: The page.
        report: The page that the report site opens on.
    """

    events: Path
    truth: Path
    owners: Path
    reference: Path
    log: Path
    page: Path
    report: Path

    @classmethod
    def of(cls, settings: Settings) -> DemoFiles:
        """Return the demo's files in a home."""
        folder = settings.home / "demo"
        return cls(
            events=folder / "events.jsonl",
            truth=folder / "truth.json",
            owners=folder / "owners.yml",
            reference=folder / "reference",
            log=folder / "libraries.log",
            page=settings.exports / "demo.html",
            report=settings.exports / "report" / "index.html",
        )


def read_truth(files: DemoFiles) -> dict[str, Any] | None:
    """Return the truth of the simulation that a home was made for, None when it was made for none."""
    try:
        document = json.loads(files.truth.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def refuse_a_book(settings: Settings, *, sent: int = 0) -> None:
    """Refuse a home that is not a demo's and not empty; made-up usage must never get into someone's book.

    Args:
        settings: The home.
        sent: Records on its usage topic, as far as that is known.

    Raises:
        MisuseError: It holds something.
    """
    if newest_commit(settings.lake) or settings.owners.exists() or sent:
        raise MisuseError(f"expected an empty home for the demo, found a book in {settings.home}. {_ADVICE}")


def refuse_another_demo(settings: Settings, before: dict[str, Any], simulated: dict[str, Any], *, sent: int) -> None:
    """Refuse a home that holds another simulation.

    Args:
        settings: The home.
        before: Truth of the simulation that the home was made for.
        simulated: Truth of this one.
        sent: Records on its usage topic.

    Raises:
        MisuseError: It does.
    """
    if before != simulated and (newest_commit(settings.lake) or sent):
        raise MisuseError(
            f"expected the home of a demo with {_few_words(simulated)}, "
            f"found one with {_few_words(before)} in {settings.home}. {_ADVICE}"
        )


def refuse_added_events(settings: Settings, *, simulated: int, published: int) -> None:
    """Refuse a demo's home into which more was sent since: what it publishes could not be compared.

    Args:
        settings: The home.
        simulated: Calls that the simulation has.
        published: Calls that the published book has.

    Raises:
        MisuseError: The book has more.
    """
    if published > simulated:
        raise MisuseError(
            f"expected at most the {simulated:,} calls of the demo in {settings.home}, "
            f"found {published:,}: other events were sent since. {_ADVICE}"
        )


def _few_words(truth: dict[str, Any]) -> str:
    simulation = truth.get("simulation", {})
    return f"--events {simulation.get('events', '?')} --seed {simulation.get('seed', '?')}"
