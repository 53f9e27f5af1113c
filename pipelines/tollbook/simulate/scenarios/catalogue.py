"""The scenarios there are, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tollbook.errors import MisuseError
from tollbook.simulate.scenarios import agent_tokens, flat_plan, hidden_cost, margin, price_fall
from tollbook.simulate.scenarios.parameters import Values, plain, read_assignments
from tollbook.simulate.scenarios.story import Scenario

SCENARIOS: Final[Mapping[str, Scenario]] = {
    each.SCENARIO.name: each.SCENARIO for each in (price_fall, agent_tokens, hidden_cost, flat_plan, margin)
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A scenario and its parameters.

    Attributes:
        scenario: The scenario.
        values: Every parameter's value.
    """

    scenario: Scenario
    values: Values

    def described(self) -> dict[str, str]:
        """Return the parameters as text."""
        return {name: plain(value) for name, value in self.values.items()}


def choose(name: str, assignments: Sequence[str] = ()) -> Chosen:
    """Return a scenario with parameters.

    Args:
        name: Its name.
        assignments: `name=value` each; others keep their defaults.

    Raises:
        MisuseError: There is no such scenario or parameter, or a value cannot be.
    """
    if name not in SCENARIOS:
        told = "".join(f"\n  {each.name}: {each.summary}" for each in SCENARIOS.values())
        raise MisuseError(f"expected a scenario in --scenario, got {name!r}; there are:{told}")
    scenario = SCENARIOS[name]
    return Chosen(scenario, read_assignments(name, scenario.parameters, assignments))
