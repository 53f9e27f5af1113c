"""The bridge of a small published file, on the command line."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.cli import main
from tollbook.errors import MisuseError
from tollbook.insight.bridge import read_bridges
from tollbook.insight.effects import EFFECTS
from tollbook.settings import Settings

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book

MAY, JUNE, JULY = (date(2026, month, 1) for month in (5, 6, 7))


def drive(book: Book, start: date, cost: str | None, *, team: str = "search", **counts: Any) -> None:
    """Add what drove a team's cost in a month: usage that no charge stands beside."""
    amount = None if cost is None else Decimal(cost)
    drivers = {"tasks": 10, "calls_without_task": 0, "calls": 20, "unpriced_calls": 0, "unpriced_tokens": 0}
    drivers |= {"total_tokens": 2_000_000, **counts}
    book.add(
        "insight.fct_cost_drivers",
        billing_period_start=start,
        team=team,
        workflow="answers",
        billing_currency="USD",
        effective_cost=amount,
        usage_cost=amount,
        **drivers,
    )


def effect(book: Book, start: date, end: date, name: str, amount: str | None, *, team: str = "search") -> None:
    """Add an effect."""
    book.add(
        "insight.fct_price_volume_mix",
        from_period_start=start,
        to_period_start=end,
        team=team,
        workflow="answers",
        billing_currency="USD",
        effect=name,
        effect_cost=None if amount is None else Decimal(amount),
    )


@pytest.fixture
def published(book: Book) -> Settings:
    """Search pays 20, 26 and 30 USD; legal begins with 5 in July, beside 3 calls of unknown price of its own."""
    for start, cost in ((MAY, "20"), (JUNE, "26"), (JULY, "30")):
        drive(book, start, cost)
    drive(book, JULY, "5", team="legal", calls=8, unpriced_calls=3, unpriced_tokens=500_000, tasks=4)
    effect(book, MAY, JUNE, "task_volume", "10")
    effect(book, MAY, JUNE, "price", "-4")
    effect(book, JUNE, JULY, "price", "4")
    effect(book, JUNE, JULY, "new_workflow", "5", team="legal")
    effect(book, MAY, JULY, "price", "10.000000000001")
    effect(book, MAY, JULY, "model_mix", "-0.000000000001")
    effect(book, MAY, JULY, "new_workflow", "5", team="legal")
    return book.publish()


def told(settings: Settings, *arguments: str) -> int:
    """Run the command and return its exit code."""
    return main(["insight", "bridge", "--home", str(settings.home), *arguments])


def test_the_newest_two_periods_are_bridged_by_default(published: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """From 26 to 35 USD; what is zero is left out, and what has no price is told on stderr."""
    code = told(published)

    out, err = capsys.readouterr()
    assert code == 0
    assert [re.split(" {2,}", line) for line in out.splitlines()] == [
        ["what", "effective USD", "percent"],
        ["2026-06", "26.000000000000", "-"],
        ["price", "+4.000000000000", "+15.4"],
        ["new_workflow", "+5.000000000000", "+19.2"],
        ["2026-07", "35.000000000000", "-"],
        [""],
        ["driver", "2026-06", "2026-07"],
        ["tasks", "10", "14"],
        ["calls per task", "2.00", "2.00"],
        ["tokens per call", "100,000.00", "142,857.14"],
        ["usage USD per 1M priced tokens", "13.0000", "10.0000"],
        ["calls without a price", "0", "3"],
    ]
    assert err == "2026-07: 3 calls have no known price, and are in no amount\n"


def test_json_has_every_effect_in_its_order(published: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Amounts are text with all their digits, zeros stand, and 10.000000000001 of 20 is 50 percent."""
    code = told(published, "--from", "2026-05", "--to", "2026-07", "--json")

    (bridge,) = json.loads(capsys.readouterr().out)
    amounts = {each["effect"]: each for each in bridge["effects"]}
    assert code == 0
    assert list(amounts) == list(EFFECTS)
    assert amounts["price"] == {"effect": "price", "effect_cost": "10.000000000001", "percent_of_from": "50.0"}
    assert amounts["cache_mix"]["effect_cost"] == "0"
    assert (bridge["from"]["effective_cost"], bridge["to"]["effective_cost"]) == ("20.000000000000", "35.000000000000")
    assert bridge["to"]["unpriced_calls"] == 3


def test_a_team_has_a_bridge_of_its_own(published: Settings) -> None:
    """Legal was charged nothing in June: there is no percent of that."""
    (bridge,) = read_bridges(published, before="2026-06", after="2026-07", team="legal")

    assert (bridge.before.effective_cost, bridge.after.effective_cost) == (None, Decimal(5))
    assert {name: amount for name, amount in bridge.effects.items() if amount} == {"new_workflow": Decimal(5)}
    assert bridge.percent(Decimal(5)) is None


def test_backwards_every_sign_changes_and_what_was_new_is_retired(published: Settings) -> None:
    """The mart has each pair once; the other way is the same told backwards."""
    (bridge,) = read_bridges(published, before="2026-07", after="2026-06")

    assert {name: amount for name, amount in bridge.effects.items() if amount} == {
        "price": Decimal(-4),
        "retired_workflow": Decimal(-5),
    }
    assert (bridge.before.period, bridge.after.period) == ("2026-07", "2026-06")


def test_a_change_that_is_not_known_is_told(book: Book, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither side has a known cost: there is no amount, and a word about it."""
    drive(book, MAY, None, calls=2, unpriced_calls=2)
    drive(book, JUNE, None, calls=1, unpriced_calls=1)
    effect(book, MAY, JUNE, "unknown_price", None)

    told(book.publish())

    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines()[:3]] == [
        ["what", "effective", "USD", "percent"],
        ["2026-05", "-", "-"],
        ["2026-06", "-", "-"],
    ]
    assert err.splitlines()[-1] == "1 workflows have no known cost on either side: their change is not known"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"before": "2025-01"}, r"expected one of the last billing periods .*2026-05, 2026-06, 2026-07.*'2025-01'"),
        ({"before": "2026-06", "after": "2026-06"}, "expected two different billing periods"),
        ({"team": "nobody"}, "expected a team 'nobody' that was charged in 2026-06 or 2026-07, found none"),
    ],
)
def test_what_is_not_there_is_misuse(published: Settings, asked: dict[str, str], message: str) -> None:
    """A bridge of nothing to nothing would look like an answer."""
    with pytest.raises(MisuseError, match=message):
        read_bridges(published, **asked)


def test_one_period_has_no_bridge(book: Book) -> None:
    """In the first month there is nothing to compare with."""
    drive(book, MAY, "1")

    with pytest.raises(MisuseError, match="expected two billing periods with charges, found 2026-05"):
        read_bridges(book.publish())
