"""What changed the bill, from the lake to the published file."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

from tollbook.insight.price_volume_mix import EFFECTS_SCHEMA
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

JUNE, JULY, AUGUST = (date(2026, month, 1) for month in (6, 7, 8))


def answers(event: Any, month: str, cost: str, *, tasks: int, **fields: Any) -> list[Any]:
    """Return tasks of two calls of 1,000 tokens each."""
    told = {"input_tokens": 1_000, "output_tokens": 0, "list_cost": Decimal(cost), **fields}
    return [
        event(f"{month}-{task}-{call}", f"{month}-10", task_id=f"{month}-task-{task}", **told)
        for task in range(tasks)
        for call in range(2)
    ]


def effects(lake: LakeBuilder, before: date, after: date) -> dict[tuple[str, str], dict[str, Decimal | None]]:
    """Return the published effects of a pair by team and workflow."""
    rows = lake.query(
        "select team, workflow, effect, effect_cost from insight.fct_price_volume_mix "
        f"where from_period_start = date '{before}' and to_period_start = date '{after}'"
    )
    told: dict[tuple[str, str], dict[str, Decimal | None]] = {}
    for team, workflow, effect, cost in rows:
        told.setdefault((team, workflow), {})[effect] = cost
    return told


def test_a_build_explains_new_months_and_keeps_what_it_said_of_others(lake: LakeBuilder, event: Any) -> None:
    """Of a call's cost and tasks both double from June to July; review moves to search; drafts have no known price.

    Answers: 2 tasks of 2 calls at 0.01 are 0.04 USD, 4 at 0.02 are 0.16; the mean is 0.12 / ln 4, and each doubling
    0.12 x ln 2 / ln 4 = 0.06. In August answers alone go on, at half of July's price: 0.16 - 0.08; against June only
    the tasks are twice as many: 0.04 + 0.04. The build itself holds that effects sum to what teams and workflows are
    charged (assert_effects_sum_to_the_change_of_chargeback).
    """
    legal = {"team": "legal", "owner_team": "legal"}
    review = {"workflow": "review", "task_id": None, "input_tokens": 10, "output_tokens": 0}
    lake.commit(
        [
            *answers(event, "2026-06", "0.01", tasks=2),
            *answers(event, "2026-07", "0.02", tasks=4),
            event("review-june", "2026-06-05", **review, **legal, list_cost=Decimal("0.5")),
            event("review-july", "2026-07-05", **review, list_cost=Decimal("0.7")),
            event("drafts-june", "2026-06-05", workflow="drafts", model="own-model", list_cost=None),
            event("drafts-july", "2026-07-05", workflow="drafts", model="own-model", list_cost=None),
        ]
    )
    build(lake.settings)

    from_june_to_july = effects(lake, JUNE, JULY)

    assert from_june_to_july == {
        ("search", "answers"): {"task_volume": Decimal("0.06"), "price": Decimal("0.06")},
        ("legal", "review"): {"moved_workflow": Decimal("-0.5")},
        ("search", "review"): {"moved_workflow": Decimal("0.7")},
        ("search", "drafts"): {"unknown_price": None},
    }
    drivers = "select workflow, tasks, calls_without_task, calls, unpriced_calls, usage_cost, effective_cost"
    of_july = f"{drivers} from insight.fct_cost_drivers where billing_period_start = date '2026-07-01' order by all"
    assert lake.query(of_july) == [
        ("answers", 4, 0, 8, 0, Decimal("0.16"), Decimal("0.16")),
        ("drafts", 1, 0, 1, 1, None, None),
        ("review", 0, 1, 1, 0, Decimal("0.7"), Decimal("0.7")),
    ]

    lake.commit(answers(event, "2026-08", "0.01", tasks=4))
    build(lake.settings)

    assert effects(lake, JUNE, JULY) == from_june_to_july
    assert effects(lake, JULY, AUGUST) == {
        ("search", "answers"): {"price": Decimal("-0.08")},
        ("search", "review"): {"retired_workflow": Decimal("-0.7")},
        ("search", "drafts"): {"unknown_price": None},
    }
    assert effects(lake, JUNE, AUGUST)[("search", "answers")] == {"task_volume": Decimal("0.04")}
    with duckdb.connect(lake.settings.warehouse / "ledger.duckdb", read_only=True) as ledger:
        remade = "select distinct from_period_start, to_period_start from intermediate.int_price_volume_mix_computed"
        assert set(ledger.execute(remade).fetchall()) == {(JUNE, AUGUST), (JULY, AUGUST)}
    columns = lake.query("select column_name from (describe insight.fct_price_volume_mix)")
    assert [name for (name,) in columns] == [*EFFECTS_SCHEMA.names, "inputs_version"]
