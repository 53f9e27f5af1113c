"""The cheapest mix of plans for the usage of persons, exact: each on one plan, plans with seats that are paid anyway.

Without a rule of least seats each person is on the plan that is cheapest for that person. A plan with such a rule is
worth it only when enough of them are on it: every set of such plans is tried, and within a set the seats that are paid
for anyway are given to those who gain most by them, a maximum-weight assignment by augmenting paths over the plans.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain, combinations
from typing import Final

_OUT: Final = -1
"""Where those are who have no seat that is paid anyway."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A plan that persons could be on.

    Attributes:
        fee: Fee of a seat. Unit: pico-USD.
        minimum_seats: Seats that are paid for whenever one is.
        usage_costs: What the usage of each person costs on it beside the fee, shape (n_persons,). Unit: pico-USD.
    """

    fee: int
    minimum_seats: int
    usage_costs: Sequence[int]

    def uniform_cost(self) -> int:
        """Return what all persons cost on it. Unit: pico-USD."""
        return self.cost_of(range(len(self.usage_costs)))

    def cost_of(self, persons: Iterable[int]) -> int:
        """Return what some persons cost on it; nothing where there are none. Unit: pico-USD."""
        held = list(persons)
        return self.fee * self.seats_for(len(held)) + sum(self.usage_costs[person] for person in held)

    def seats_for(self, persons: int) -> int:
        """Return how many seats are paid for so many persons."""
        return max(persons, self.minimum_seats) if persons else 0


def cheapest_mix(choices: Sequence[Choice]) -> list[int]:
    """Return the plan of each person in the mix that costs least, as its place among the choices, shape (n_persons,).

    Of mixes that cost the same, plans that come first among the choices are taken.

    Raises:
        ValueError: There is no plan.
    """
    if not choices:
        raise ValueError("expected one plan or more, got none")
    persons = len(choices[0].usage_costs)
    free = [place for place, choice in enumerate(choices) if choice.minimum_seats <= 1]
    tied = [place for place, choice in enumerate(choices) if choice.minimum_seats > 1]
    mixes = [
        _with_seats_paid(choices, sorted([*free, *opened]), opened, persons)
        for opened in chain.from_iterable(combinations(tied, count) for count in range(len(tied) + 1))
        if free or opened
    ]
    return min(mixes, key=lambda plans: cost_of_mix(choices, plans))


def cost_of_mix(choices: Sequence[Choice], plans: Sequence[int]) -> int:
    """Return what persons cost who are each on a plan. Unit: pico-USD."""
    return sum(
        choice.cost_of(person for person, plan in enumerate(plans) if plan == place)
        for place, choice in enumerate(choices)
    )


def _with_seats_paid(
    choices: Sequence[Choice], allowed: Sequence[int], opened: Sequence[int], persons: int
) -> list[int]:
    """Return the cheapest plan of each person where the least seats of some plans are paid for anyway."""
    alone = []
    for person in range(persons):
        costs = [(choices[plan].usage_costs[person] + choices[plan].fee, place) for place, plan in enumerate(allowed)]
        alone.append(min(costs))
    gains = {
        plan: [alone[person][0] - choices[plan].usage_costs[person] for person in range(persons)] for plan in opened
    }
    given = _assign(gains, {plan: choices[plan].minimum_seats for plan in opened})
    return [given.get(person, allowed[alone[person][1]]) for person in range(persons)]


def _assign(gains: Mapping[int, Sequence[int]], seats: Mapping[int, int]) -> dict[int, int]:
    """Return who gets a seat of which plan, so that the sum of gains is the largest there is.

    Each round gives one seat more: to somebody without one, by way of persons who move on to another plan. As the best
    way is taken each time, the sum is the largest for its number of seats, and the rounds end when no way gains.

    Args:
        gains: What each person gains by a seat, by plan, shape (n_persons,) each.
        seats: Seats by plan.
    """
    # There is a best way to give seats in which each goes to one of those who gain most by its plan, as many as there
    # are seats: of these somebody is always without one.
    most = sum(seats.values())
    able = {
        person
        for gain in gains.values()
        for person in nlargest(most, range(len(gain)), key=gain.__getitem__)
        if gain[person] > 0
    }
    given: dict[int, int] = {}
    while True:
        moves = _moves(gains, given, able)
        gain, path = _best_way(gains.keys(), moves, _with_room(given, seats))
        if gain <= 0:
            return given
        for before, after in path:
            given[moves[before, after][1]] = after


def _with_room(given: Mapping[int, int], seats: Mapping[int, int]) -> set[int]:
    held = list(given.values())
    return {plan for plan, count in seats.items() if held.count(plan) < count}


def _moves(
    gains: Mapping[int, Sequence[int]], given: Mapping[int, int], able: Iterable[int]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the best move from each plan, or from none, to each other: what it gains, and who moves."""
    moves: dict[tuple[int, int], tuple[int, int]] = {}
    for person in sorted(able):
        before = given.get(person, _OUT)
        held = 0 if before == _OUT else gains[before][person]
        for after, gain in gains.items():
            told = (gain[person] - held, person)
            if after != before and ((before, after) not in moves or told[0] > moves[before, after][0]):
                moves[before, after] = told
    return moves


def _best_way(
    plans: Iterable[int], moves: Mapping[tuple[int, int], tuple[int, int]], room: set[int]
) -> tuple[int, list[tuple[int, int]]]:
    """Return the way from no plan to one with room that gains most, by Bellman and Ford."""
    reached: dict[int, tuple[int, list[tuple[int, int]]]] = {_OUT: (0, [])}
    for _ in [_OUT, *plans]:
        for (before, after), (gain, _person) in moves.items():
            if before in reached:
                total = reached[before][0] + gain
                if after not in reached or total > reached[after][0]:
                    reached[after] = (total, [*reached[before][1], (before, after)])
    ways = [reached[plan] for plan in sorted(room) if plan in reached]
    return max(ways, key=lambda way: way[0], default=(0, []))
