"""A scenario within a simulation: its story over the simulation's months, and the lines of it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from tollbook.errors import MisuseError
from tollbook.simulate.delivery import Delivery, Line, Shares
from tollbook.simulate.randomness import Chance
from tollbook.simulate.scenarios.catalogue import Chosen
from tollbook.simulate.scenarios.story import Month, Setting, Story
from tollbook.simulate.truth import Truth

MOST_CALLS = 5_000_000
"""More are refused: they would take hours, and mostly somebody has mistaken a unit."""


def story_of(chosen: Chosen, moments: Sequence[datetime], seed: int) -> Story:
    """Return the story of a scenario.

    Args:
        chosen: The scenario and its parameters.
        moments: First moment of each month, and the end of the last.
        seed: The same seed gives the same calls.

    Raises:
        MisuseError: Parameters do not go together, make too many calls, or the months are too few or no calendar
            months.
    """
    scenario = chosen.scenario
    months = [Month(start, end) for start, end in pairwise(moments)]
    if len(months) < scenario.fewest_months:
        raise MisuseError(
            f"expected --months of {scenario.fewest_months} or more with --scenario {scenario.name}, got {len(months)}"
        )
    if months[0].start.day != 1:
        raise MisuseError(
            f"expected --start on the first of a month with --scenario, as marts go by months, got "
            f"{months[0].first_day}"
        )
    story = scenario.make(Setting(chosen.values, months, Chance(seed, f"scenario {scenario.name}")))
    if story.planned_calls > MOST_CALLS:
        raise MisuseError(
            f"expected parameters of {scenario.name} that make at most {MOST_CALLS:,} calls, got some "
            f"{story.planned_calls:,}"
        )
    return story


def arrivals(
    story: Story, seed: int, shares: Shares, truth: Truth, on_call: Callable[[int], None] = lambda _made: None
) -> Iterator[Line]:
    """Yield the lines of a story in the order of arrival, and count them in the truth.

    A call that its provider voids is made once more under another id, and none is corrected: so what counts is what
    the story planned, whatever goes wrong on the way.

    Args:
        story: The story; its tasks are used up.
        seed: Seed of what goes wrong.
        shares: How often.
        truth: Counts the lines.
        on_call: Told how many calls are made.
    """
    # Of its own name, so that scenarios of one seed share no id in a book that has them all.
    name = f"scenario {story.team.name}"
    delivery = Delivery(seed, replace(shares, corrected=0), truth, name=f"{name} delivery")
    again = Chance(seed, f"{name} calls made again")
    waiting: list[tuple[int, int, bytes]] = []
    made = calls = 0
    for task in story.tasks:
        while waiting and waiting[0][0] < task.start_us:
            arrives_us, _, line = heapq.heappop(waiting)
            yield arrives_us, line
        for call in task.calls:
            counts = False
            while not counts:
                lines, counts = delivery.lines(call)
                for arrives_us, line in lines:
                    made += 1
                    heapq.heappush(waiting, (arrives_us, made, line))
                if not counts:
                    call = replace(call, event_id=f"ex_{again.hex(24)}")
            calls += 1
        on_call(calls)
    while waiting:
        arrives_us, _, line = heapq.heappop(waiting)
        yield arrives_us, line


def findings_of(chosen: Chosen, story: Story) -> dict[str, Any]:
    """Return the part of the truth that tells of a scenario, once all its lines were made."""
    findings = story.findings()
    return {
        "name": chosen.scenario.name,
        "parameters": chosen.described(),
        "figures": dict(findings.figures),
        "expected": [each.as_dict() for each in findings.marts],
    }
