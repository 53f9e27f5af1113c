"""What workloads would cost on other paths, from reference data and the lake to the mart and the command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.reference.kinds import load_file
from tollbook.settings import Settings
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

NOW = datetime(2026, 8, 15, tzinfo=UTC)
TOLD = "valid_from: 2026-01-01, known_from: 2026-05-01T00:00:00Z, author: a, reason: r"
READ = "source: price list, observed_on: 2026-05-01"
ONE = "accelerator: A100, accelerators: 1, currency: USD"
PATHS = f"""
inference_paths: 1
entries:
  - {{entry_id: neo, {TOLD},
     offer: {{offer_id: neo, path: neo_cloud, vendor: n, region: eu-1, {ONE}, {READ}, rented: {{hourly_rate: "1"}}}}}}
  - {{entry_id: hyper, {TOLD},
     offer: {{offer_id: hyper, path: hyperscaler, vendor: h, {ONE}, {READ}, rented: {{hourly_rate: "2"}}}}}}
  - {{entry_id: rack, {TOLD},
     offer: {{offer_id: rack, path: on_prem, vendor: o, accelerator: A100, accelerators: 2, fleet: rack, {READ}}}}}
  - {{entry_id: server, {TOLD},
     offer: {{offer_id: server, path: on_prem, vendor: o, region: eu-own, {ONE}, {READ},
       owned: {{purchase_price: "36000", useful_life_months: 36, running: [{{component: power, amount: "500"}}]}}}}}}
  - {{entry_id: swiss, {TOLD},
     offer: {{offer_id: swiss, path: neo_cloud, vendor: n, accelerator: A100, accelerators: 1, currency: CHF,
       rented: {{hourly_rate: "0.01"}}, {READ}}}}}
  - {{entry_id: speed, {TOLD},
     throughput: {{figure_id: speed, model: open-m, accelerator: A100, accelerators: 1, basis: measured, {READ},
       output_tokens_per_second: "1000", input_tokens_per_second: "10000"}}}}
  - {{entry_id: answers, {TOLD}, workload: {{workload: answers, model: open-m}}}}
  - {{entry_id: cases, {TOLD}, workload: {{workload: cases, workflows: [mails], model: open-m, utilisation: "1"}}}}
  - {{entry_id: personal, {TOLD},
     residency: {{data_class: personal, paths: [neo_cloud, on_prem], regions: ["eu-*"]}}}}
  - {{entry_id: assumed, {TOLD},
     assumptions: {{utilisation: "0.5", api_price_decline_per_year: "0.5", hardware_life_months: 24}}}}
"""
FLEETS = f"""
fleets: 1
entries:
  - {{entry_id: rack, {TOLD}, fleet_id: rack, currency: USD, devices: 4, rented: {{hourly_rate: "0.50"}},
     serves: {{inference_paths: [on_prem]}}, measure: accelerator_seconds}}
"""


def load(lake: LakeBuilder, kind: str, text: str) -> None:
    """Put a reference file into use."""
    path = lake.settings.home.parent / f"{kind}.yml"
    path.write_text(text, encoding="utf-8")
    load_file(path, lake.settings, now=NOW)


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory,
    new_lake: Callable[[Settings], LakeBuilder],
    usage: Callable[..., dict[str, Any]],
) -> LakeBuilder:
    """June: answers on an API, cases of personal data, batches on own accelerators, and calls that tell no path."""
    lake = new_lake(Settings(home=tmp_path_factory.mktemp("paths") / "home"))
    load(lake, "fleets", FLEETS)
    load(lake, "inference_paths", PATHS)
    api = {"path": "model_api", "input_tokens": 4_500_000_000, "output_tokens": 300_000_000}
    own = {"path": "on_prem", "provider": "home", "model": "open-m", "accelerator_type": "A100", "list_cost": None}
    lake.commit(
        [
            usage("answers-1", "2026-06-01", **api, list_cost=Decimal(1440), task_id="a"),
            usage("answers-2", "2026-06-30", **api, list_cost=Decimal(1440), task_id="b"),
            usage("case", workflow="cases", data_class="personal", path="model_api", list_cost=Decimal("0.5")),
            usage("mail", workflow="mails", list_cost=Decimal("0.5")),
            usage(
                "batch",
                workflow="batches",
                **own,
                accelerator_seconds=Decimal(2_592_000),
                input_tokens=900_000,
                output_tokens=100_000,
            ),
        ]
    )
    build(lake.settings, clock=lambda: NOW)
    return lake


COSTS = "inference_path, path_cost, cost_kind, offer_id, is_cheapest, excluded_reason"


def test_an_api_is_held_against_accelerators(published: LakeBuilder) -> None:
    """600 M output tokens take 600,000 s, 9 G of input 900,000: June has 2,592,000 s, at most half in use.

    So 1.5 M of 1.296 M: two instances. Of one accelerator at 1 USD for 720 hours they cost 1,440, at 2 USD 2,880. The
    fleet's four at 0.50 are 1,440, an instance of two accelerators 720 and one is enough. The server is 1,000 and 500
    a month. The API is 2,880 for 9.6 G.
    """
    rows = published.query(
        f"select {COSTS}, instances, accelerators, utilisation from insight.fct_unit_cost_paths "
        "where workload = 'answers' order by inference_path"
    )
    assert rows == [
        ("hyperscaler", 2_880, "rented", "hyper", False, None, 2, 2, Decimal("0.289351851852")),
        ("model_api", 2_880, "observed", None, False, None, None, None, None),
        ("neo_cloud", 1_440, "rented", "neo", False, None, 2, 2, Decimal("0.289351851852")),
        ("on_prem", 720, "fleet", "rack", True, None, 1, 2, Decimal("0.289351851852")),
    ]
    (neo,) = published.query(
        "select cost_per_million_tokens, cost_per_million_output_tokens, cost_per_task, break_even_tokens, "
        "break_even_utilisation, break_even_tokens_in_a_year, break_even_utilisation_in_a_year, instance_hourly_cost, "
        "output_tokens_per_second, throughput_basis, figure_id, price_source, price_observed_on::varchar, caveats "
        "from insight.fct_unit_cost_paths where workload = 'answers' and inference_path = 'neo_cloud'"
    )
    # 720 USD buy 2.4 G tokens at 0.30 a million, which take 375,000 of 2,592,000 s; at half the price twice as many.
    assert neo == (
        *(Decimal("0.15"), Decimal("2.4"), 720, 2_400_000_000, Decimal("0.144675925926")),
        *(4_800_000_000, Decimal("0.289351851852"), 1, 1_000, "measured", "speed", "price list", "2026-05-01"),
        "another_model",
    )


def test_residency_and_the_unknown_exclude_paths(published: LakeBuilder) -> None:
    """One call of personal data binds its workload: 200 input tokens and 20 of output, one instance, 720 and 1,500."""
    rows = published.query(
        f"select {COSTS}, break_even_reason from insight.fct_unit_cost_paths where workload = 'cases' order by 1"
    )
    assert rows == [
        ("hyperscaler", None, None, None, False, "residency", None),
        ("model_api", None, None, None, False, "residency", None),
        ("neo_cloud", 720, "rented", "neo", True, None, "no_model_api_cost"),
        ("on_prem", 1_500, "owned", "server", False, None, "no_model_api_cost"),
    ]
    assert published.query(
        "select distinct workflows, calls, workload_cost, tasks from insight.fct_unit_cost_paths "
        "where workload = 'cases'"
    ) == [(2, 2, 1, 2)]


def test_accelerator_time_of_events_is_a_measure(published: LakeBuilder) -> None:
    """A month of one accelerator for 1 M tokens: two of them at half use, or one instance of two."""
    rows = published.query(
        f"select {COSTS}, throughput_basis, instances, observed_tokens, observed_cost from insight.fct_unit_cost_paths "
        "where workload = 'batches' order by 1"
    )
    assert rows == [
        ("hyperscaler", 2_880, "rented", "hyper", False, None, "events", 2, 0, None),
        ("model_api", None, None, None, False, "no_offer", None, None, 0, None),
        ("neo_cloud", 1_440, "rented", "neo", False, None, "events", 2, 0, None),
        ("on_prem", 720, "fleet", "rack", True, None, "events", 1, 1_000_000, None),
    ]


def test_a_new_price_makes_its_periods_anew_and_new_usage_its_own(
    published: LakeBuilder, usage: Callable[..., dict[str, Any]]
) -> None:
    """Half the rent from what is known later: 720 for the two instances. July has one day: 24 of its 744 hours."""
    half = """
  - {entry_id: neo-2, supersedes: [neo], valid_from: 2026-01-01, known_from: 2026-06-01T00:00:00Z, author: a, reason: r,
     offer: {offer_id: neo, path: neo_cloud, vendor: n, region: eu-1, accelerator: A100, accelerators: 1, currency: USD,
       source: a new price list, observed_on: 2026-06-01, rented: {hourly_rate: "0.50"}}}
"""
    load(published, "inference_paths", PATHS + half.lstrip("\n"))
    call = {"path": "model_api", "task_id": "c", "input_tokens": 9_000, "output_tokens": 1_000}
    published.commit([usage("july", "2026-07-01", **call)])
    build(published.settings, clock=lambda: NOW)
    rows = published.query(
        "select billing_period_start::varchar, path_cost, price_source, instances, covered_hours, caveats "
        "from insight.fct_unit_cost_paths where workload = 'answers' and inference_path = 'neo_cloud' order by 1"
    )
    assert rows == [
        ("2026-06-01", 720, "a new price list", 2, 720, "another_model"),
        ("2026-07-01", 12, "a new price list", 1, 24, "another_model, part_of_the_period"),
    ]
    # Nothing stands twice, and every call is on a path.
    assert published.query(
        "select billing_period_start::varchar, sum(observed_calls), count(*) from insight.fct_unit_cost_paths "
        "group by all order by all"
    ) == [("2026-06-01", 5, 12), ("2026-07-01", 1, 4)]
