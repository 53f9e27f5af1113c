"""Pages of the report site beside the bridge, in a real browser: what their sentences, numbers and tables say."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pipelines.report.browser import Browser, address, needs_chromium

pytestmark = needs_chromium


def test_tasks_add_up_and_cost_more_when_only_successes_count(page: Browser, folder: Path) -> None:
    """Three tasks of 4.50 USD, one a success: 1.50 each and 4.50 for the success; of 4 USD in October 3 failed."""
    page.open(address(folder, "tasks.html"))
    assert page.text("#tiles").startswith("Cost of a task, mean$1.503 tasksCost per successful task$4.50")
    assert [row[0:2] + row[4:] for row in page.rows("#table-workflows")] == [
        ["search answers", "2", "2.00", "4.00", "1.00", "3.00", "3.00", "3.00"],
        ["legal review", "1", "0.50", "unknown", "0.50", "0.50", "0.50", "0.50"],
    ]

    page.open(address(folder, "tasks.html", "period=2026-10"))
    assert "75 % was spent on tasks that failed." in page.text("#lead")
    assert [row[1:] for row in page.rows("#table-agents")] == [
        ["main", "2", "4", "0", "1.00", "4.00"],
        ["helper", "2", "4", "0", "3.00", "3.00"],
    ]
    assert [row[0] for row in page.rows("#table-dearest")] == ["task-2", "task-1"]


def test_hidden_cost_is_told_on_top_of_raw_inference(page: Browser, folder: Path) -> None:
    """5 on 30 USD for all, 5 on 10 for search; each purpose says the rule behind it."""
    page.open(address(folder, "hidden-cost.html"))
    assert page.text("#tiles").startswith("On top of raw inference17 %")

    page.open(address(folder, "hidden-cost.html", "team=search"))
    assert page.text("#tiles").startswith("On top of raw inference50 %")
    purposes = {row[0]: row for row in page.rows("#table-purposes")}
    assert purposes["Context carried again"][4:] == ["$4.00", "40 %", "27 %", "4.00"]
    assert "a price was not known, so every token bears the same" in purposes["Context carried again"][1]
    assert purposes["All"][4:] == ["$15.00", "50 %", "", "15.00"]


def test_subsidies_tell_what_one_of_fees_buys(page: Browser, folder: Path) -> None:
    """The published case: 35,000 USD at API prices for 200 USD of fees; one person of two has 34,000 of it."""
    page.open(address(folder, "subsidies.html"))

    assert page.text("#lead").endswith("would have cost $35,000.00 at API prices; the fees were $200.00: 175 to 1.")
    assert page.rows("#table-plans")[-1] == ["All", "35,000.00", "200.00", "175 to 1"]
    assert page.rows("#table-terms")[0][3:] == ["$200.00", "$300.00", "$35,000.00", "$150.00"]
    assert page.rows("#table-curves")[0][2:] == ["2", "2.50", "0.50", "0.4714", "unknown", "97.1 %"]
    assert page.value("document.getElementById('chart-curves').data[1].y") == [0, 2.86, 100]
    assert [row[0] for row in page.rows("#table-persons")] == ["p1", "p2"]


def test_margins_tell_points_and_their_change(page: Browser, folder: Path) -> None:
    """15 and then 25 points; a customer who pays nothing costs the product's margin too: 6 of 6 USD are 100 points."""
    page.open(address(folder, "margins.html", "product=chat"))
    assert page.text("#lead").endswith("the points of gross margin of chat that AI takes went from 15.0 to 25.0.")
    assert [row[4:] for row in page.rows("#table-points")] == [["15.0", "–"], ["25.0", "+10.0"]]

    page.open(address(folder, "margins.html"))
    assert page.rows("#table-points")[-1] == ["draft", "Oct 2026", "6.00", "6.00", "100.0", "–"]
    assert {row[0]: row[2:] for row in page.rows("#table-customers")} == {
        "c1": ["$3.00", "$6.00", "50.0"],
        "c2": ["$3.00", "unknown", "unknown"],
    }
    assert page.rows("#table-apart")[0] == ["unallocated", "charges that no call bears", "38.00"]


def test_agents_stand_below_those_that_called_them(page: Browser, folder: Path) -> None:
    """Main has 1 of its own and 4 with all below; helper 2.5 and 3; main again, below it, 0.5. By keyboard too."""
    page.open(address(folder, "tasks.html"))
    rows = (
        "[...document.querySelectorAll('#table-tree .branch')].map((one) => [one.querySelector('.who').textContent,"
        " one.querySelector('b').textContent, one.lastElementChild.textContent])"
    )
    assert page.value(rows) == [
        ["search answers: main", "$4.00", "own $1.00, 3 calls"],
        ["helper", "$3.00", "own $2.50, 2 calls"],
        ["main", "$0.50", "1 call"],
    ]
    assert page.rows("#table-tree-more") == [
        ["main", "search answers", "1", "3", "0", "1.00", "4.00"],
        ["main › helper", "search answers", "1", "2", "0", "2.50", "3.00"],
        ["main › helper › main", "search answers", "1", "1", "0", "0.50", "0.50"],
    ]

    page.value("document.querySelector('#table-tree summary').focus()")
    page.press("Enter", 13, "\r")
    assert page.value("document.querySelector('#table-tree details').open") is False
    page.value(
        "addEventListener('beforeprint', () => {"
        " window.open_ = [...document.querySelectorAll('#table-tree details')].every((one) => one.open); })"
    )
    page.paper()
    assert page.value("window.open_") is True


def test_concentration_tells_how_few_have_most(page: Browser, folder: Path) -> None:
    """One of two customers has 9 of 10 USD; 30 of 40 are of calls that name none."""
    page.open(address(folder, "concentration.html", "product=chat"))

    assert page.text("#lead") == (
        "In Oct 2026, 2 customers of chat are named. The largest has 90.0 % of their list cost; one of them makes half "
        "of it or more, and one of them nine tenths."
    )
    assert page.text("#unknown") == "75 % of the list cost is of calls that name no customer, and in no share."
    assert [row[:5] for row in page.rows("#table-curves")] == [
        ["List cost", "2", "10.00", "0.400", "90.0 %"],
        ["Calls", "2", "10", "0.000", "50.0 %"],
    ]
    assert page.value("document.getElementById('chart-curves').data[1].y.filter((_, at) => at % 50 === 0)") == [
        0,
        10,
        100,
    ]
    assert page.value("document.getElementById('chart-shares').data[0].y") == [80, 90]

    page.open(address(folder, "concentration.html"))
    assert page.text("#lead").startswith("In Oct 2026, 2 customers of all products are named.")
    assert [row[0] for row in page.rows("#table-products")] == ["chat"]


def test_a_forecast_has_its_interval_and_its_reasons(page: Browser, folder: Path) -> None:
    """Search: 50 USD in December, 40 to 150, 5 of it by price changes; with legal's 2 (1 to 3) 52, 41 to 153."""
    page.open(address(folder, "forecast.html", "team=search&month=Dec+2026"))
    assert page.text("#lead") == (
        "In Dec 2026, usage of search is expected to cost $50.00, between $40.00 and $150.00 four times of five; in "
        "Nov 2026 it is $40.00. Prices that are known to change add $5.00 of it."
    )
    assert page.rows("#table-fan") == [
        ["Sep 2026", "20.00", "–", "–", "–", "–", "–"],
        ["Oct 2026", "30.00", "–", "–", "–", "–", "–"],
        ["Nov 2026", "0.00", "40.00", "30.00", "140.00", "40.00", "100.00"],
        ["Dec 2026", "–", "50.00", "40.00", "150.00", "45.00", "105.00"],
    ]
    assert page.rows("#table-errors") == [
        ["search", "a level and a trend that fades", "4", "25.0 %", "50.0 %", "unknown", "100.0 %"]
    ]

    page.open(address(folder, "forecast.html", "month=Dec+2026"))
    assert "to cost $52.00, between $41.00 and $153.00 four times of five, if all teams err alike;" in page.text(
        "#lead"
    )
    assert page.text("#unknown") == "Known up to 2026-10-31. tax: less than two weeks of history."
    assert [row[0] for row in page.rows("#table-teams")] == ["legal", "search"]
    assert page.rows("#table-fan")[-1] == ["Dec 2026", "–", "52.00", "41.00", "153.00", "47.00", "114.00"]
    assert [row[0] for row in page.rows("#table-drivers")] == ["search", "legal"]


def test_paths_tell_from_which_volume_on_they_pay(page: Browser, folder: Path) -> None:
    """The own server takes 15 of 40 USD off, a rule forbids the neo-cloud, and notes has no other offer."""
    page.open(address(folder, "paths.html"))
    assert page.text("#lead") == (
        "In Oct 2026, all workloads cost $42.00. 1 of 2 workloads would cost less by another offer: $15.00 less in all."
    )
    assert page.rows("#table-unit") == [
        ["answers", "Model API", "as bought", "40.00", "4.00", "–", "", ""],
        ["answers", "Neo-cloud", "–", "–", "–", "–", "", "a rule of residency forbids it"],
        ["answers", "Own hardware", "server", "25.00", "2.50", "–", "yes", ""],
        ["notes", "Model API", "as bought", "2.00", "0.20", "–", "yes", ""],
    ]
    assert page.rows("#table-volume")[1][:7] == ["Own hardware", "server", "10.0 M", "1", "60.0 %", "180 M", "37.5 %"]
    # One server up to 360 M tokens a month, and another from there on: 720 USD for 360 M are 2 USD a million.
    line = "document.getElementById('chart-volume').data.find((one) => one.name === 'Own hardware')"
    costs = page.value(f"{line}.x.map((volume, at) => [volume, {line}.y[at]])")
    assert all(
        cost == pytest.approx(720e6 * (1 if volume <= 360e6 else -(-volume // 360e6)) / volume)
        for volume, cost in costs
    )
    assert max(volume for volume, _ in costs) > 720e6

    page.open(address(folder, "paths.html", "workload=notes"))
    assert page.text("#lead").startswith("In Oct 2026, notes cost $2.00. No offer of another path is told")
