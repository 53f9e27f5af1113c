"""The report site in a real browser: filters change charts and sums, exactly, by keyboard and by address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.pipelines.conftest import Book
from tests.pipelines.report import site_rows
from tests.pipelines.report.browser import Browser, browser, needs_chromium
from tests.pipelines.report.site_rows import LEGAL, OCTOBER, SEARCH, SEPTEMBER, drive, effect

from tollbook.report.site.contents import PAGES
from tollbook.report.site.write import write_site
from tollbook.settings import Settings

pytestmark = needs_chromium

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title="taken"</script>&\u202eb'
BRIDGE_HEIGHTS = "document.getElementById('chart-bridge').data[0].x"
"""Lengths of the bars of the bridge, as they are drawn."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site of a small book, in which a workflow of legal has a hostile name."""
    book = site_rows.explain(Book(Settings(home=tmp_path_factory.mktemp("site") / "home")))
    drive(book, SEPTEMBER, (LEGAL[0], HOSTILE), "0")
    drive(book, OCTOBER, (LEGAL[0], HOSTILE), "0")
    effect(book, (LEGAL[0], HOSTILE), "price", "0.25")
    effect(book, (LEGAL[0], HOSTILE), "model_mix", "-0.25")
    pages = write_site(book.publish())
    return next(iter(pages)).parent


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Give the browser that these tests share."""
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def page(shown: Browser, folder: Path) -> Iterator[Browser]:
    """Give the browser in the light; at the end nothing was complained of, and nothing asked for but the pages."""
    shown.complaints.clear()
    shown.requests.clear()
    shown.light("light")
    shown.size(1200, 900)
    yield shown
    assert shown.complaints == []
    assert {each.split("#")[0] for each in shown.requests} <= {
        "about:blank",
        *(address(folder, each.file) for each in PAGES),
    }


def address(folder: Path, file: str = "index.html", chosen: str = "") -> str:
    """Return the address of a page with what is chosen."""
    return f"{(folder / file).as_uri()}{f'#{chosen}' if chosen else ''}"


def exact(page: Browser) -> dict[str, str]:
    """Return the rows of the bridge's table with all digits, zeros left out."""
    return {row[0]: row[-1] for row in page.rows("#table-bridge") if row[-1] != "0.00"}


def choose(page: Browser, name: str, shown: str) -> None:
    """Choose by keyboard: go to a select and write what the option begins with."""
    page.value(f"document.getElementById('choose-{name}').focus()")
    for letter in shown:
        page.press(letter, ord(letter.upper()), letter)


def test_the_site_opens_on_the_last_two_periods_that_are_over(page: Browser, folder: Path) -> None:
    """From September to October, with every digit of amounts that no float holds; November is not over."""
    page.open(address(folder))

    assert exact(page) == {
        "Sep 2026": "9,007,199,264.740993000001",
        "Number of tasks": "3.000000000002",
        "Calls per task": "12.000000000002",
        "Model mix": "−0.25",
        "Price": "−4.750000000001",
        "Retired workflows": "−6.00",
        "Change": "4.000000000003",
        "Oct 2026": "9,007,199,268.740993000004",
    }
    assert page.text("#lead") == (
        "From Sep 2026 to Oct 2026 the bill rose by $4.00 (<0.1 %), from $9,007,199,264.74 to $9,007,199,268.74. "
        "What a token costs took off $5.00 (price: −$4.75; though over all workflows the average token became no "
        "cheaper), the number of tasks added $3.00 (fewer in all, but more where a task costs much), tokens per task "
        "added $12.00, and all else took off $6.00."
    )
    assert page.text("#unknown") == "2 calls of both periods have no known price and are in no amount."


@pytest.mark.parametrize(
    ("cheap", "effects", "said"),
    [
        # 10 to 20 tasks at 10 USD are 100 more, 100 to 50 at 0.10 are 5 less: 95 more with 40 tasks fewer.
        (("5", 50), {"task_volume": "-5"}, "added $95.00 (fewer in all, but more where a task costs much)."),
        # Without the cheap workflow, which was given up, 10 more of those that both months have.
        (
            None,
            {"retired_workflow": "-10"},
            "added $100.00 (fewer in all, but more in workflows that both months have)",
        ),
        # 100 to 200 at 0.10 are 10 more: tasks and cost go the same way.
        (("20", 200), {"task_volume": "10"}, "added $110.00."),
    ],
)
def test_more_cost_of_fewer_tasks_is_explained(
    shown: Browser,
    tmp_path: Path,
    cheap: tuple[str, int] | None,
    effects: dict[str, str],
    said: str,
) -> None:
    """Effects weigh a workflow's tasks by what they cost; beside the plain number that must not read as an error."""
    book = Book(Settings(home=tmp_path / "home"))
    for start in (SEPTEMBER, OCTOBER):
        book._add_period(start, site_rows.ENDS[start])
    drive(book, SEPTEMBER, SEARCH, "100", tasks=10, total_tokens=10_000)
    drive(book, OCTOBER, SEARCH, "200", tasks=20, total_tokens=20_000)
    effect(book, SEARCH, "task_volume", "100")
    drive(book, SEPTEMBER, LEGAL, "10", tasks=100, total_tokens=1_000)
    if cheap is not None:
        drive(book, OCTOBER, LEGAL, cheap[0], tasks=cheap[1], total_tokens=10 * cheap[1])
    for name, cost in effects.items():
        effect(book, LEGAL, name, cost)

    shown.open(address(next(iter(write_site(book.publish()))).parent))

    assert f"The number of tasks {said}" in shown.text("#lead")


def test_a_team_chosen_by_keyboard_has_a_bridge_of_its_own(page: Browser, folder: Path) -> None:
    """Chart, sums, sentence and address change together, and the focus stays where it was."""
    page.open(address(folder))
    before = page.value(BRIDGE_HEIGHTS)
    choose(page, "team", "search")

    assert page.value("document.activeElement.id") == "choose-team"
    assert page.value("location.hash") == "#team=search"
    assert exact(page) == {
        "Sep 2026": "9,007,199,254.740993000001",
        "Number of tasks": "3.000000000002",
        "Calls per task": "12.000000000002",
        "Price": "−5.000000000001",
        "Change": "10.000000000003",
        "Oct 2026": "9,007,199,264.740993000004",
    }
    assert len(page.value(BRIDGE_HEIGHTS)) == 5
    assert page.value(BRIDGE_HEIGHTS) != before
    assert page.value("[...document.querySelectorAll('#choose-workflow option')].map((each) => each.text)") == [
        *("All workflows", "answers"),
    ]
    assert page.value("[...document.querySelectorAll('nav a')].map((each) => each.hash)") == ["#team=search"] * len(
        PAGES
    )


def test_going_back_shows_what_was_shown(page: Browser, folder: Path) -> None:
    """And the button shows all again."""
    page.open(address(folder))
    choose(page, "team", "legal")
    assert exact(page)["Change"] == "−6.00"
    page.value("new Promise((done) => { addEventListener('hashchange', done, { once: true }); history.back(); })")
    assert exact(page)["Change"] == "4.000000000003"

    choose(page, "team", "legal")
    page.value("document.querySelector('#filters button').focus()")
    page.press("Enter", 13, "\r")
    assert exact(page)["Change"] == "4.000000000003"
    assert page.value("document.activeElement.type") == "reset"


def test_backwards_every_sign_changes(page: Browser, folder: Path) -> None:
    """What was retired on the way there is new on the way back."""
    page.open(address(folder, chosen="from=2026-10&to=2026-09"))

    back = exact(page)
    assert (back["Price"], back["Change"]) == ("4.750000000001", "−4.000000000003")
    assert back["New workflows"] == "6.00"
    assert "Retired workflows" not in back


def test_an_address_that_names_what_is_not_there_shows_the_rest(page: Browser, folder: Path) -> None:
    """Addresses are kept in mails for years."""
    page.open(address(folder, chosen="team=nobody&from=1999-01"))
    assert exact(page)["Change"] == "4.000000000003"

    for chosen in ("team=search&workflow=review", "%%%", "to=x&period=9", "team=search&currency=XXX"):
        told = "addEventListener('hashchange', done, { once: true })"
        page.value(f"new Promise((done) => {{ {told}; location.hash = '{chosen}'; }})")
        assert exact(page)["Change"] == ("10.000000000003" if "search" in chosen else "4.000000000003"), chosen


def test_one_period_with_itself_has_no_bridge(page: Browser, folder: Path) -> None:
    """It says so, and draws none."""
    page.open(address(folder, chosen="from=2026-10&to=2026-10"))

    assert page.text("#lead") == "A bridge needs two different billing periods with charges."
    assert page.value("document.getElementById('chart-bridge').hidden") is True


def test_hostile_names_are_text(page: Browser, folder: Path) -> None:
    """In lists, tables, sentences and charts."""
    for each in [one for one in PAGES if "workflow" in one.filters]:
        page.open(address(folder, each.file, f"workflow={quote(HOSTILE)}"))
        assert page.value("document.title") == each.title
        assert page.value("document.querySelectorAll('img').length") == 0
        assert HOSTILE in page.value("document.getElementById('choose-workflow').selectedOptions[0].text")
    page.open(address(folder, chosen=f"workflow={quote(HOSTILE)}"))
    assert HOSTILE in page.value("document.querySelector('#lead bdi').textContent")
    assert exact(page) == {"Price": "0.25", "Model mix": "−0.25"}


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


def test_what_is_chosen_is_kept_on_the_way_through_pages(page: Browser, folder: Path) -> None:
    """Also by a page that has no such choice."""
    page.open(address(folder, "margins.html", "team=search&from=2026-09&to=2026-11"))

    assert page.value("document.querySelector('nav a').hash") == "#team=search&to=2026-11"
    assert page.value("document.querySelectorAll('#choose-team').length") == 0


def test_every_chart_has_a_table_and_a_name(page: Browser, folder: Path) -> None:
    """For those who do not see it."""
    for each in PAGES:
        page.open(address(folder, each.file))
        charts = page.value(
            "[...document.querySelectorAll('.chart')].map((one) => [one.getAttribute('role'), one.ariaLabel.length > 9,"
            " one.hidden || one.querySelector('.plot-container') !== null,"
            " document.querySelector(`#table-${one.id.slice(6)}`).closest('details') !== null])"
        )
        assert charts
        assert all(one == ["img", True, True, True] for one in charts)
        assert page.value("[...document.querySelectorAll('select')].every((one) => one.labels.length === 1)") is True


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_stand_out(page: Browser, folder: Path, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for text, 3 to 1 for marks, on cards and on the page."""
    page.light(scheme)
    page.open(address(folder))

    ratios = page.value(
        """(() => {
          const light = (hex) => {
            const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
            const [r, g, b] = parts.map((of) => (of <= 0.04045 ? of / 12.92 : ((of + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
          const ratio = (one, other) => {
            const [high, low] = [light(colour(one)), light(colour(other))].sort((a, b) => b - a);
            return (high + 0.05) / (low + 0.05);
          };
          const text = ["--ink", "--soft"].flatMap((one) => ["--card", "--page"].map((on) => ratio(one, on)));
          const marks = ["--end", "--up", "--down", "--rest", "--focus"]
            .concat([1, 2, 3, 4, 5, 6, 7, 8].map((at) => `--series-${at}`)).map((one) => ratio(one, "--card"));
          return [Math.min(...text), Math.min(...marks)];
        })()"""
    )
    assert ratios[0] >= 4.5
    assert ratios[1] >= 3


def test_charts_follow_the_light_and_paper_is_light(page: Browser, folder: Path) -> None:
    """A reader in the dark prints black on white."""
    colour = "document.getElementById('chart-bridge').layout.font.color"
    page.open(address(folder))
    in_light = page.value(colour)
    page.light("dark")
    page.open(address(folder))
    assert page.value(colour) != in_light

    page.value(f"addEventListener('beforeprint', () => {{ window.printed = {colour}; }})")
    assert page.paper().startswith(b"%PDF")
    assert page.value("window.printed") == in_light
    assert page.value(colour) != in_light


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Browser, folder: Path) -> None:
    """Tables scroll by themselves."""
    page.size(390, 844)
    for each in PAGES:
        page.open(address(folder, each.file))
        assert page.value("document.documentElement.scrollWidth") == 390
