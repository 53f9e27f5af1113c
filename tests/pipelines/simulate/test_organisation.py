"""Who owns what, when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
import yaml

from tollbook.contracts import shipped_folder
from tollbook.simulate.organisation import TEAMS, WORKFLOWS_OF_TEAM, organisation, owners_document
from tollbook.simulate.workflows import NAMELESS_WORKFLOWS, UNOWNED_WORKFLOWS, WORKFLOWS

MONTHS = [datetime(2026, month, 1, tzinfo=UTC) for month in (8, 9, 10)]


def at(*moment: int) -> int:
    """Return a time in UTC in microseconds."""
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[arg-type,misc]


def owner(dimensions: Mapping[str, str | None], moment: int) -> tuple[str, str] | None:
    """Return team and cost centre of an event, or None."""
    rule = organisation(MONTHS, len(TEAMS)).owner_rule(dimensions, moment)
    return None if rule is None else (rule.owner.name, rule.owner.cost_center)


def test_a_workflow_changes_hands_in_the_middle_of_the_second_month() -> None:
    """At midnight UTC of 15 September: the microsecond before belongs to the old owner."""
    support = {"workflow": "support-chat", "team": "customer-care"}
    change = at(2026, 9, 15)
    assert owner(support, change - 1) == ("customer-care", "CC-2100")
    assert owner(support, change) == ("digital-channels", "CC-2300")


def test_a_cost_centre_changes_with_the_last_month_and_its_team_stays() -> None:
    """A team is not its cost centre."""
    code = {"workflow": "code-assistant"}
    change = at(2026, 10, 1)
    assert owner(code, change - 1) == ("platform-engineering", "CC-1100")
    assert owner(code, change) == ("platform-engineering", "CC-1150")


def test_the_first_dimension_with_a_rule_decides() -> None:
    """Workflow before key before team."""
    moment = at(2026, 8, 5)
    everything: dict[str, str | None] = {
        "workflow": "copywriting",
        "credential_id": "key-ci-runner",
        "team": "care-tools",
    }
    assert owner(everything, moment) == ("marketing", "CC-2400")
    assert owner(everything | {"workflow": None}, moment) == ("platform-engineering", "CC-1100")
    assert owner({"team": "care-tools"}, moment) == ("customer-care", "CC-2100")
    assert owner({"team": "customer-care", "workflow": "hackday-prototype"}, moment) is None


@pytest.mark.parametrize(("months", "teams"), [(1, 3), (2, 5), (3, 8), (12, 8)])
def test_the_owners_file_keeps_its_schema_and_names_each_rule_once(months: int, teams: int) -> None:
    """It is given to the product as any organisation's would be."""
    starts = [datetime(2026, 1 + month, 1, tzinfo=UTC) for month in range(months)]
    document: Any = yaml.safe_load(owners_document(organisation(starts, teams).rules))
    schema = yaml.safe_load((shipped_folder("schemas") / "documents" / "owners.schema.json").read_text("utf-8"))
    jsonschema.validate(document, schema)
    names = [rule["rule_id"] for rule in document["rules"]]
    assert len(names) == len(set(names))
    assert all(rule["valid_from"] < rule.get("valid_to", "9") for rule in document["rules"])


def test_every_workflow_has_its_owner_or_is_meant_to_have_none() -> None:
    """A workflow that was forgotten in the rules would make usage that nobody owns, and no one would notice."""
    owned = {name for workflows in WORKFLOWS_OF_TEAM.values() for name in workflows}
    assert {workflow.name for workflow in WORKFLOWS} == owned
    assert {workflow.name for workflow in UNOWNED_WORKFLOWS}.isdisjoint(owned)
    for workflow in NAMELESS_WORKFLOWS:
        assert owner({"credential_id": workflow.credential_id, "team": workflow.team}, at(2026, 8, 5)) is not None
