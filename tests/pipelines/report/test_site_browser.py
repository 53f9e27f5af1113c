"""The report site in a real browser: filters change charts and sums, exactly, by keyboard and by address."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from tests.pipelines.conftest import Book
from tests.pipelines.report import site_rows
from tests.pipelines.report.browser import Browser, address, needs_chromium
from tests.pipelines.report.site_rows import HOSTILE, LEGAL, OCTOBER, SEARCH, SEPTEMBER, drive, effect

from tollbook.report.site.contents import PAGES
from tollbook.report.site.write import write_site
from tollbook.settings import Settings

pytestmark = needs_chromium

BRIDGE_HEIGHTS = "document.getElementById('chart-bridge').data[0].x"
"""Lengths of the bars of the bridge, as they are drawn."""


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
