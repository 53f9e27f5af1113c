"""The simulated organisation: its teams, and who owns which usage when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SINCE_US = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
"""From when rules hold that hold from the beginning. Unit: Microseconds since 1970-01-01T00:00:00Z."""

DIMENSION_ORDER = ("workflow", "credential_id", "project_id", "team")
"""A call has one owner: the rule in force of the first of these dimensions that has one."""

UNALLOCATED = "unallocated"


@dataclass(frozen=True, slots=True)
class Team:
    """A team and where it stands.

    Attributes:
        name: Its name.
        cost_center: Cost centre it is charged to.
        business_unit: Business unit of the cost centre.
    """

    name: str
    cost_center: str
    business_unit: str


@dataclass(frozen=True, slots=True)
class OwnerRule:
    """Who owns the usage that has one value in one dimension, in `[valid_from, valid_to)`.

    Attributes:
        rule_id: Name of the rule.
        dimension: One of `DIMENSION_ORDER`.
        value: What the event must have there.
        owner: The owner.
        valid_from_us: Inclusive. Unit: Microseconds since 1970-01-01T00:00:00Z.
        valid_to_us: Exclusive, in the same unit; None while it holds.
    """

    rule_id: str
    dimension: str
    value: str
    owner: Team
    valid_from_us: int = SINCE_US
    valid_to_us: int | None = None


TEAMS = (
    Team("platform-engineering", "CC-1100", "Technology"),
    Team("customer-care", "CC-2100", "Operations"),
    Team("digital-channels", "CC-2300", "Commerce"),
    Team("research", "CC-3100", "Research"),
    Team("finance-operations", "CC-4100", "Corporate"),
    Team("data-science", "CC-3200", "Research"),
    Team("legal", "CC-5100", "Corporate"),
    Team("marketing", "CC-2400", "Commerce"),
)
FEWEST_TEAMS = 3

WORKFLOWS_OF_TEAM = {
    "platform-engineering": ("code-assistant", "incident-triage"),
    "customer-care": ("support-chat", "ticket-summaries"),
    "digital-channels": ("shopping-advisor",),
    "research": ("market-research",),
    "finance-operations": ("invoice-extraction",),
    "data-science": ("model-evaluation",),
    "legal": ("contract-review",),
    "marketing": ("copywriting",),
}
"""Team at the beginning to its workflows. `hackday-prototype` belongs to nobody."""

CREDENTIAL_OWNERS = {"key-ci-runner": "platform-engineering"}
"""Key to the team that owns what it is used for, where no workflow is told."""

TEAM_ALIASES = {"care-tools": "customer-care"}
"""Team as callers write it to the team that owns it, where neither workflow nor key decides."""

HANDED_OVER = ("support-chat", "customer-care", "digital-channels")
"""A workflow that changes hands in the middle of the second month, its old and its new owner."""

RENUMBERED = ("platform-engineering", "CC-1150")
"""A team whose cost centre changes at the start of the last month, and the new one."""


class Organisation:
    """Teams and owner rules over a span of months.

    Attributes:
        teams: The teams that take part.
        rules: Who owns what, when.
    """

    def __init__(self, teams: Sequence[Team], rules: Sequence[OwnerRule]) -> None:
        self.teams = tuple(teams)
        self.rules = tuple(rules)
        self._by_value: dict[tuple[str, str], list[OwnerRule]] = {}
        for rule in rules:
            self._by_value.setdefault((rule.dimension, rule.value), []).append(rule)

    @property
    def workflows(self) -> frozenset[str]:
        """Workflows of the teams that take part."""
        return frozenset(name for team in self.teams for name in WORKFLOWS_OF_TEAM[team.name])

    def owner_rule(self, dimensions: Mapping[str, str | None], occurred_us: int) -> OwnerRule | None:
        """Return the rule that decides who owns an event, or None when nobody does.

        Args:
            dimensions: Dimension to what the event has there.
            occurred_us: When it occurred. Unit: Microseconds since 1970-01-01T00:00:00Z.
        """
        for dimension in DIMENSION_ORDER:
            for rule in self._by_value.get((dimension, dimensions.get(dimension) or ""), ()):
                if rule.valid_from_us <= occurred_us and (rule.valid_to_us is None or occurred_us < rule.valid_to_us):
                    return rule
        return None


def organisation(months: Sequence[datetime], team_count: int) -> Organisation:
    """Return the organisation over a span of months.

    Args:
        months: First moment of each month, in order, in UTC.
        team_count: How many of `TEAMS` take part, from `FEWEST_TEAMS`.
    """
    teams = TEAMS[:team_count]
    by_name = {team.name: team for team in teams}
    handed_over_at = _microseconds(months[min(1, len(months) - 1)] + timedelta(days=14))
    renumbered_at = _microseconds(months[-1])
    rules: list[OwnerRule] = []
    for team in teams:
        for workflow in WORKFLOWS_OF_TEAM[team.name]:
            rules.extend(_rules_of(workflow, team, by_name, handed_over_at, renumbered_at))
    rules.extend(
        OwnerRule(f"key-{key}", "credential_id", key, by_name[name]) for key, name in CREDENTIAL_OWNERS.items()
    )
    rules.extend(OwnerRule(f"team-{alias}", "team", alias, by_name[name]) for alias, name in TEAM_ALIASES.items())
    return Organisation(teams, rules)


def owners_document(rules: Sequence[OwnerRule]) -> str:
    """Return the rules as an owners file, YAML under `schemas/documents/owners.schema.json`."""
    lines = [
        "# Shape: schemas/documents/owners.schema.json",
        f"order: [{', '.join(DIMENSION_ORDER)}]",
        "# What no rule gives to a team stays unallocated, whatever team the caller named.",
        "unmatched: unallocated",
        "rules:",
    ]
    for rule in rules:
        lines += [
            f"  - rule_id: {rule.rule_id}",
            f"    match: {{{rule.dimension}: {rule.value}}}",
            f"    team: {rule.owner.name}",
            f"    cost_center: {rule.owner.cost_center}",
            f"    business_unit: {rule.owner.business_unit}",
            f'    valid_from: "{_text(rule.valid_from_us)}"',
        ]
        if rule.valid_to_us is not None:
            lines.append(f'    valid_to: "{_text(rule.valid_to_us)}"')
    return "\n".join(lines) + "\n"


def _rules_of(
    workflow: str, team: Team, by_name: dict[str, Team], handed_over_at: int, renumbered_at: int
) -> list[OwnerRule]:
    """Return the rules of one workflow: one, or two where its owner or the owner's cost centre changes."""
    name = f"workflow-{workflow}"
    if workflow == HANDED_OVER[0]:
        after, since = by_name[HANDED_OVER[2]], handed_over_at
    elif team.name == RENUMBERED[0]:
        after, since = Team(team.name, RENUMBERED[1], team.business_unit), renumbered_at
    else:
        return [OwnerRule(name, "workflow", workflow, team)]
    return [
        OwnerRule(f"{name}-1", "workflow", workflow, team, SINCE_US, since),
        OwnerRule(f"{name}-2", "workflow", workflow, after, since),
    ]


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def _text(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
