"""`tollbook simulate`: an organisation's traffic as native JSON lines in the order of arrival, and its truth."""

from __future__ import annotations

import gzip
import heapq
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any, cast

from tollbook.errors import MisuseError
from tollbook.simulate.calls import MICROSECONDS_PER_DAY, MICROSECONDS_PER_MILLISECOND, MICROSECONDS_PER_SECOND
from tollbook.simulate.delivery import Delivery, Line, Shares
from tollbook.simulate.documents import write_reference
from tollbook.simulate.organisation import FEWEST_TEAMS, TEAMS, Organisation, organisation, owners_document
from tollbook.simulate.randomness import PER_MILLION, Chance
from tollbook.simulate.scenarios.catalogue import Chosen
from tollbook.simulate.scenarios.run import arrivals, findings_of, story_of
from tollbook.simulate.scenarios.story import Story, overlay_document
from tollbook.simulate.tasks import TaskRunner
from tollbook.simulate.truth import Truth
from tollbook.simulate.workflows import (
    NAMELESS_WORKFLOWS,
    PHASES,
    UNOWNED_WORKFLOWS,
    WORKFLOWS,
    Workflow,
)

DEFAULT_START = date(2026, 8, 1)
"""A span in which vendors lowered prices: `gpt-5.6-sol` on 2026-08-21, batch tiers from 2026-10-14."""

DEFAULT_MONTHS = 3
_HOURS = (1, 1, 1, 1, 2, 4, 9, 18, 34, 48, 54, 52, 46, 50, 56, 54, 46, 34, 22, 16, 12, 8, 4, 0)
"""How much work is begun in each hour of a day, UTC. None in the last, so that each call ends in its day's month."""

_WEEKEND = (5, 6)
_WEEKEND_PERCENT = 35
_LAST_CALL_DAY = 28

OnProgress = Callable[[int, int], None]
"""Told how many calls of how many are simulated."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated.

    Attributes:
        events: Calls of the organisation that count; what is told twice, voided or broken comes on top.
        seed: The same seed gives the same bytes, on every machine.
        start: First day.
        months: How many months.
        team_count: How many teams take part.
        shares: How often delivery goes wrong.
        chosen: A scenario whose traffic goes beside the organisation's; then `events` may be 0.
    """

    events: int
    seed: int
    start: date = DEFAULT_START
    months: int = DEFAULT_MONTHS
    team_count: int = len(TEAMS)
    shares: Shares = field(default_factory=Shares)
    chosen: Chosen | None = None

    def __post_init__(self) -> None:
        checks = (
            (self.events >= (self.chosen is None), f"expected --events of 1 or more, got {self.events}"),
            (1 <= self.months <= 36, f"expected --months from 1 to 36, got {self.months}"),
            (
                FEWEST_TEAMS <= self.team_count <= len(TEAMS),
                f"expected --teams from {FEWEST_TEAMS} to {len(TEAMS)}, got {self.team_count}",
            ),
            (
                self.start.day <= _LAST_CALL_DAY,
                f"expected --start on a day that every month has, up to the {_LAST_CALL_DAY}th, got {self.start}",
            ),
        )
        for holds, message in checks:
            if not holds:
                raise MisuseError(message)

    @property
    def month_starts(self) -> tuple[datetime, ...]:
        """First moment of each month."""
        return tuple(_months_after(self.start, number) for number in range(self.months))

    @property
    def end(self) -> datetime:
        """End of the last month, exclusive."""
        return _months_after(self.start, self.months)


def simulate(
    plan: Plan,
    *,
    out: Path,
    truth_path: Path,
    owners_path: Path | None = None,
    reference_path: Path | None = None,
    on_progress: OnProgress = lambda _done, _total: None,
) -> dict[str, Any]:
    """Write the traffic, its truth and, if asked, the owner rules or all reference files; return the truth.

    Args:
        plan: What to simulate.
        out: File of native JSON lines; gzip if its name ends with `.gz`.
        truth_path: File of the truth, JSON.
        owners_path: File of the owner rules, YAML.
        reference_path: Folder of the reference files, the owner rules among them; see `documents`.
        on_progress: Told how far it is.

    Raises:
        MisuseError: A file cannot be written, or the scenario's parameters do not go together.
    """
    people, story = _people(plan), _story(plan)
    rules = [*people.rules, *(() if story is None else story.rules)]
    teams = [*people.teams, *(() if story is None else (story.team,))]
    truth = Truth(Organisation(teams, rules), {} if story is None else story.prices)
    total = plan.events + (0 if story is None else story.planned_calls)
    try:
        if owners_path is not None:
            owners_path.write_text(owners_document(rules), encoding="utf-8")
        if reference_path is not None:
            made_up = None if story is None else overlay_document(f"scenario-{story.team.name}", story.models)
            write_reference(reference_path, rules, {} if story is None else story.documents, made_up)
        with _open(out) as file:
            for line in _all_traffic(plan, people, story, truth, lambda done: on_progress(min(done, total), total)):
                file.write(line)
                file.write(b"\n")
        document = {"simulation": _described(plan), **truth.as_dict()}
        if plan.chosen is not None and story is not None:
            document["scenario"] = findings_of(plan.chosen, story)
        truth_path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise MisuseError(f"expected a file that can be written at {error.filename}: {error.strerror}") from error
    return document


def traffic(
    plan: Plan, people: Organisation, truth: Truth, on_progress: OnProgress = lambda _done, _total: None
) -> Iterator[bytes]:
    """Yield the lines of the organisation in the order of arrival, and count them in the truth.

    Memory holds the lines that are not yet due, some days of traffic, not all of it.
    """
    for _, line in _organisation_lines(plan, people, truth, lambda done: on_progress(done, plan.events)):
        yield line


def _people(plan: Plan) -> Organisation:
    """Return the organisation; one of nobody where a scenario goes alone."""
    return organisation(plan.month_starts, plan.team_count) if plan.events else Organisation((), ())


def _story(plan: Plan) -> Story | None:
    return None if plan.chosen is None else story_of(plan.chosen, (*plan.month_starts, plan.end), plan.seed)


def _all_traffic(
    plan: Plan, people: Organisation, story: Story | None, truth: Truth, on_calls: Callable[[int], None]
) -> Iterator[bytes]:
    """Yield the lines of the organisation and of the scenario in the order of arrival."""
    done = {"organisation": 0, "scenario": 0}

    def on_calls_of(who: str) -> Callable[[int], None]:
        def tell(calls: int) -> None:
            done[who] = calls
            on_calls(sum(done.values()))

        return tell

    of_organisation = _organisation_lines(plan, people, truth, on_calls_of("organisation")) if plan.events else ()
    of_scenario = () if story is None else arrivals(story, plan.seed, plan.shares, truth, on_calls_of("scenario"))
    for _, line in heapq.merge(of_organisation, of_scenario, key=_arrival):
        yield line


def _arrival(line: Line) -> int:
    return line[0]


def _organisation_lines(
    plan: Plan, people: Organisation, truth: Truth, on_calls: Callable[[int], None]
) -> Iterator[Line]:
    chance = Chance(plan.seed, "traffic")
    delivery = Delivery(plan.seed, plan.shares, truth)
    end_us = _microseconds(plan.end)
    waiting: list[tuple[int, int, bytes]] = []
    made = counted = 0
    for day_us, phase, first, target in _days(plan):
        runner = TaskRunner(chance, phase, end_us)
        choices = [(each, each.weights[phase]) for each in _workflows(people)]
        while counted < target:
            start_us = day_us + _time_of_day_us((counted - first) * PER_MILLION // (target - first))
            while waiting and waiting[0][0] < start_us:
                arrives_us, _, line = heapq.heappop(waiting)
                yield arrives_us, line
            for call in runner.run(chance.weighted(choices), start_us):
                lines, counts = delivery.lines(call)
                for arrives_us, line in lines:
                    made += 1
                    heapq.heappush(waiting, (arrives_us, made, line))
                counted += counts
                if counted == plan.events:
                    break
        on_calls(counted)
    while waiting:
        arrives_us, _, line = heapq.heappop(waiting)
        yield arrives_us, line


def _days(plan: Plan) -> Iterator[tuple[int, int, int, int]]:
    """Yield each day: its start, its phase, and how many calls should have counted at its start and at its end.

    Traffic grows evenly to eight times its begin, and rests at weekends.
    """
    starts = plan.month_starts
    days = (plan.end - starts[0]).days
    weights = []
    for number in range(days):
        day = starts[0] + timedelta(days=number)
        weekend = day.weekday() in _WEEKEND
        weights.append((100 + 700 * number // max(1, days - 1)) * (_WEEKEND_PERCENT if weekend else 100))
    total, passed, first = sum(weights), 0, 0
    for number, weight in enumerate(weights):
        day = starts[0] + timedelta(days=number)
        month = max(index for index, start in enumerate(starts) if start <= day)
        passed += weight
        target = plan.events * passed // total
        yield _microseconds(day), PHASES * month // len(starts), first, target
        first = target


def _workflows(people: Organisation) -> list[Workflow]:
    owned = [each for each in WORKFLOWS if each.name in people.workflows]
    return [*owned, *UNOWNED_WORKFLOWS, *NAMELESS_WORKFLOWS]


def _time_of_day_us(share: int) -> int:
    """Return when in a day so many millionths of its work are begun. Unit: Microseconds, whole milliseconds."""
    left = share * sum(_HOURS)
    for hour, weight in enumerate(_HOURS):
        if left < weight * PER_MILLION:
            into_hour_ms = left * 3_600_000 // (weight * PER_MILLION)
            return (hour * 3_600_000 + into_hour_ms) * MICROSECONDS_PER_MILLISECOND
        left -= weight * PER_MILLION
    return MICROSECONDS_PER_DAY - 3_600 * MICROSECONDS_PER_SECOND


def _months_after(start: date, months: int) -> datetime:
    years, month = divmod(start.month - 1 + months, 12)
    return datetime(start.year + years, month + 1, start.day, tzinfo=UTC)


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * MICROSECONDS_PER_SECOND


def _described(plan: Plan) -> dict[str, Any]:
    return {
        "events": plan.events,
        "seed": plan.seed,
        "start": plan.start.isoformat(),
        "months": plan.months,
        "teams": plan.team_count,
        "duplicates_ppm": plan.shares.duplicates,
        "late_ppm": plan.shares.late,
        "poison_ppm": plan.shares.poison,
        "conflicts_ppm": plan.shares.conflicts,
    }


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    with path.open("wb") as stored:
        if path.name.endswith(".gz"):
            with gzip.GzipFile(filename="", fileobj=stored, mode="wb", compresslevel=6, mtime=0) as packed:
                yield cast("IO[bytes]", packed)
        else:
            yield stored
