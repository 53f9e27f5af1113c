"""Re-rating: stored events priced anew, by hand-worked amounts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from tollbook.cli import main
from tollbook.closing.closes import CloseEntry, FrozenTotals, append_close
from tollbook.contracts import contract, usage_record_schema
from tollbook.errors import CorruptManifestError, MisuseError
from tollbook.lake.parquet import write_parquet
from tollbook.lake.ratings import newest_rating
from tollbook.rating.book import PriceBook
from tollbook.rating.columns import COST_COLUMNS
from tollbook.rating.store import record, versions

if TYPE_CHECKING:
    from tests.pipelines.rating.rerate.conftest import StoredUsage


def test_history_is_not_repriced_at_todays_price(usage: StoredUsage) -> None:
    """Pain 4: prices changed and stored costs with them. A dated new price leaves what was before it alone."""
    usage.meter([{}, {"event_id": "second"}])
    cheaper_since_july = usage.book_of(
        usage.price("gpt-4o", "2.50", until="2026-07-01"),
        usage.price("gpt-4o", "1.25", since="2026-07-01"),
        version="july",
    )

    done = usage.rerate(cheaper_since_july)

    # The first price now has an end and no beginning: the same id, the same 2.50 USD.
    assert done.total.list_cost_before == done.total.list_cost_after == 5_000_000_000_000
    assert (done.sequence, done.total.changed_events) == (None, 0)
    assert newest_rating(usage.settings.lake) == 0


def test_cost_can_be_computed_again_after_a_price_fix(usage: StoredUsage) -> None:
    """Pain 5: a wrong price stayed in the books for ever. 3 and 7 tokens at 2.50 and 3.00 USD a million, by hand."""
    usage.meter([{"input_tokens": 3, "uncached_input_tokens": 3}, {"input_tokens": 7, "uncached_input_tokens": 7}])
    assert usage.in_force() == [Decimal("0.0000075"), Decimal("0.0000175")]

    done = usage.rerate(usage.fixed)

    assert usage.in_force() == [Decimal("0.000009"), Decimal("0.000021")]
    # 10 tokens: 25,000,000 pico-USD before, 30,000,000 after.
    ((key, difference),) = done.models.items()
    assert key == ("openai", "gpt-4o")
    assert (difference.list_cost_before, difference.list_cost_after) == (25_000_000, 30_000_000)
    assert (difference.events, difference.changed_events, difference.tokens) == (2, 2, 10)
    (entry,) = usage.entries()
    assert (entry.sequence, entry.catalogue_version, entry.lake_commit) == (1, usage.fixed.version, 1)
    assert [(file.rows, file.list_cost_difference_pico_usd) for file in entry.files] == [(2, 5_000_000)]
    # The book is kept whole, so that the rating can be explained for ever.
    assert [recorded.version for recorded in versions(usage.settings.lake)] == [usage.fixed.version]


def test_running_it_twice_writes_nothing(usage: StoredUsage) -> None:
    """A scheduler that runs it every night must not grow the lake."""
    usage.meter([{}])
    assert usage.rerate(usage.fixed).sequence == 1
    files = usage.data_files()

    again = usage.rerate(usage.fixed)

    assert again.sequence is None
    assert again.total.list_cost_before == again.total.list_cost_after == 3_000_000_000_000
    assert again.sentence() == f"nothing differs by {usage.fixed.version}: nothing was written"
    assert (usage.data_files(), newest_rating(usage.settings.lake)) == (files, 1)


def test_dry_run_tells_the_same_and_writes_nothing(usage: StoredUsage) -> None:
    """People look before they leap."""
    usage.meter([{}])

    looked = usage.rerate(usage.fixed, dry_run=True)

    assert looked.total.list_cost_difference == 500_000_000_000
    assert not (usage.settings.lake / "ratings").exists()
    assert usage.rerate(usage.fixed).total == looked.total


def test_event_that_was_unpriced_becomes_priced(usage: StoredUsage) -> None:
    """A model that the price list learns of later costs what it cost then, not nothing."""
    usage.meter([{"model": "new-model"}, {"model": "other-model"}])
    assert usage.in_force() == [None, None]

    done = usage.rerate(usage.book_of(usage.price("gpt-4o", "2.50"), usage.price("new-model", "4")))

    assert usage.in_force() == [Decimal(4), None]
    assert usage.in_force("unpriced_reason") == [None, "unknown_model"]
    assert (done.total.unpriced_before, done.total.unpriced_after, done.total.changed_events) == (2, 1, 1)
    assert done.models["openai", "new-model"].list_cost_difference == 4_000_000_000_000
    assert [file.unpriced_difference for file in usage.entries()[0].files] == [-1]


def test_event_whose_price_is_gone_is_unpriced_and_not_free(usage: StoredUsage) -> None:
    """Unknown is null with a reason, never zero, and the report says so."""
    usage.meter([{}])

    done = usage.rerate(usage.book_of(usage.price("another", "1")))

    assert (usage.in_force(), usage.in_force("unpriced_reason")) == ([None], ["unknown_model"])
    assert (done.total.unpriced_before, done.total.unpriced_after) == (0, 1)


def test_price_before_its_first_known_date_is_estimated(usage: StoredUsage) -> None:
    """Nobody knows what the model cost in June; the earliest price known is the best guess, and is marked as one."""
    usage.meter([{}])

    usage.rerate(usage.book_of(usage.price("gpt-4o", "2.75", since="2026-06-20")))

    assert usage.in_force() == [Decimal("2.75")]
    assert usage.in_force("cost_basis") == ["estimated"]


def test_model_and_provider_limit_what_is_priced_anew(usage: StoredUsage) -> None:
    """A fix of one price must not drag other changes along."""
    both = usage.book_of(usage.price("gpt-4o", "2.50"), usage.price("o3", "2"))
    dearer = usage.book_of(usage.price("gpt-4o", "3"), usage.price("o3", "5"))
    usage.meter([{}, {"model": "o3"}], both)

    assert usage.rerate(dearer, provider="anthropic").total.events == 0
    done = usage.rerate(dearer, model="o3", provider="OpenAI")

    assert list(done.models) == [("openai", "o3")]
    assert usage.in_force() == [Decimal("2.50"), Decimal(5)]
    assert (usage.entries()[0].model, usage.entries()[0].provider) == ("o3", "OpenAI")


def test_dates_are_half_open(usage: StoredUsage) -> None:
    """The end is the first date that is not looked at."""
    for day in (1, 2, 3):
        usage.meter([{"occurred_at": datetime(2026, 6, day, 23, 59, 59, 999_999, tzinfo=UTC)}])

    done = usage.rerate(usage.fixed, first_date=date(2026, 6, 2), end_date=date(2026, 6, 3))

    assert (done.event_dates, done.changed_dates) == (1, 1)
    assert usage.in_force() == [Decimal("2.5"), Decimal(3), Decimal("2.5")]
    with pytest.raises(MisuseError, match="first date before the end"):
        usage.rerate(usage.fixed, first_date=date(2026, 6, 1), end_date=date(2026, 6, 1))


def test_highest_sequence_holds(usage: StoredUsage) -> None:
    """A fix of a fix, and the way back, where only what differs from what holds is written."""
    usage.meter([{}, {"model": "o3"}], usage.book_of(usage.price("gpt-4o", "2.50"), usage.price("o3", "2")))
    usage.rerate(usage.book_of(usage.price("gpt-4o", "9"), usage.price("o3", "2")))
    usage.rerate(usage.book_of(usage.price("gpt-4o", "8"), usage.price("o3", "7")))

    back = usage.rerate(usage.book_of(usage.price("gpt-4o", "2.50"), usage.price("o3", "7")))

    assert back.sequence == 3
    assert usage.in_force() == [Decimal("2.5"), Decimal(7)]
    assert [[file.rows for file in entry.files] for entry in usage.entries()] == [[1], [2], [1]]
    assert usage.entries()[2].files[0].list_cost_difference_pico_usd == -5_500_000_000_000


def test_voids_are_left_alone(usage: StoredUsage) -> None:
    """A void has neither cost nor basis, whatever the prices are."""
    usage.meter([{"action": "void", "action_reason": "test"}])

    done = usage.rerate(usage.fixed)

    assert (done.total.events, done.sequence) == (0, None)


def test_lake_of_before_contracts_is_read(usage: StoredUsage) -> None:
    """Files that have no contracted cost are still in the lake; without a contract it is the list cost."""
    usage.meter([{}])
    (path,) = (usage.settings.lake / "usage").rglob("*.parquet")
    table = pq.read_table(path, partitioning=None)
    old = table.drop_columns(["contracted_cost", "contract_id", "rated_list_cost"])
    write_parquet(usage.settings.lake, path.relative_to(usage.settings.lake).as_posix(), old)

    assert usage.rerate(usage.today).total.changed_events == 0
    assert usage.rerate(usage.fixed).total.contracted_cost_difference == 500_000_000_000


def test_overlay_has_the_shape_of_its_contract_and_of_the_usage(usage: StoredUsage) -> None:
    """What is laid over a column must be of its type."""
    usage.meter([{}, {"model": "unknown"}])
    usage.rerate(usage.fixed)
    shape = contract("rating").arrow_schema
    file = pq.ParquetFile(usage.settings.lake / usage.entries()[0].files[0].path)
    assert file.schema_arrow.equals(shape)
    file.close()
    for name in COST_COLUMNS:
        assert shape.field(name).type == usage_record_schema().field(name).type, name
    assert shape.names == ["topic", "partition", "offset", "record_item", *COST_COLUMNS, "rating_sequence"]


def test_large_date_is_read_in_parts(usage: StoredUsage) -> None:
    """150,000 events in three files, of which one in a thousand differs."""
    book = usage.book_of(usage.price("gpt-4o", "2.50"), usage.price("rare", "1"))
    for partition in range(3):
        usage.meter(
            [{"model": "rare" if place % 1_000 == 7 else "gpt-4o"} for place in range(50_000)],
            book,
            partition=partition,
        )

    done = usage.rerate(usage.book_of(usage.price("gpt-4o", "2.50"), usage.price("rare", "3")))

    # 50 in each of three files, each 2 USD dearer.
    assert (done.total.events, done.total.changed_events) == (150_000, 150)
    assert done.total.list_cost_difference == 300 * 10**12
    assert usage.entries()[0].files[0].rows == 150


def test_absent_usage_file_is_named(usage: StoredUsage) -> None:
    """Someone tidied up the lake; to price what is left would look like a whole answer."""
    usage.meter([{}])
    (path,) = (usage.settings.lake / "usage").rglob("*.parquet")
    path.unlink()
    with pytest.raises(CorruptManifestError, match=path.name):
        usage.rerate(usage.fixed)
    assert newest_rating(usage.settings.lake) == 0


def test_command_rates_by_the_prices_in_force_and_exits_as_promised(
    usage: StoredUsage, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data on stdout, words on stderr; 0 when something was written and when nothing differs, 2 for misuse."""
    # gpt-4o at 9 USD a million by mistake; genai-prices has 2.50 since August 2024.
    usage.meter([{}], usage.book_of(usage.price("gpt-4o", "9")))
    command = ["prices", "rerate", "--from", "2026-06-01", "--to", "2026-07-01", "--home", str(usage.settings.home)]

    assert main([*command, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rating_sequence"], told["models"][0]["list_cost_difference"]) == (None, "-6.5")
    assert main(command) == 0
    written = capsys.readouterr()
    assert written.out.splitlines()[1].split() == [
        *("openai", "gpt-4o", "1", "1", "1,000,000", "9", "2.5", "-6.5", "0", "0")
    ]
    assert "wrote rating 1, which the next `tollbook warehouse build` takes" in written.err
    assert main(command) == 0
    assert "nothing was written" in capsys.readouterr().err
    assert main([*command[:3], "yesterday", *command[4:]]) == 2
    assert main([*command[:-1], str(usage.settings.home / "nowhere")]) == 2
    assert usage.in_force() == [Decimal("2.5")]


def test_a_misspelt_model_is_told_and_is_no_success(usage: StoredUsage, capsys: pytest.CaptureFixture[str]) -> None:
    """'Nothing differs' with exit 0 was read as: it is done."""
    usage.meter([{}])
    asked = ["prices", "rerate", "--from", "2026-06-01", "--to", "2026-07-01", "--home", str(usage.settings.home)]

    assert main([*asked, "--model", "no-such-model", "--provider", "openai"]) == 1
    told = capsys.readouterr().err
    assert "no stored event between 2026-06-01 and 2026-07-01 matches model no-such-model and provider openai" in told
    assert usage.rerate(usage.fixed, first_date=date(2026, 5, 1), end_date=date(2026, 6, 1)).sentence() == (
        "no stored event between 2026-05-01 and 2026-06-01"
    )


def test_a_rerate_by_a_new_contract_shows_what_it_changes(usage: StoredUsage) -> None:
    """The table told list costs alone: 3,764 ratings changed, and the difference was 0. Half of 2.50 is 1.25 USD."""
    usage.meter([{}])
    listed = usage.today.list_prices
    half = replace(
        listed.prices[0],
        rates={"input_tokens": Fraction(1_250_000)},
        contract_id="c",
        billing_account_id="*",
        price_list="c",
    )
    agreed = listed.with_prices([*listed.prices, half], list_name="contracts")

    headings, rows = usage.rerate(PriceBook.of(listed, contracted=agreed)).as_table()

    costs = dict(zip(headings, rows[0], strict=True))
    assert (costs["list cost before"], costs["list cost after"], costs["difference"]) == ("2.5", "2.5", "0")
    assert [costs[f"contracted {name}"] for name in ("cost before", "cost after", "difference")] == [
        "2.5",
        "1.25",
        "-1.25",
    ]


def test_a_rerate_without_contracts_has_no_column_for_them(usage: StoredUsage) -> None:
    """Three columns that repeat three others make a table that nobody reads."""
    usage.meter([{}])

    headings, _ = usage.rerate(usage.fixed).as_table()

    assert not any("contracted" in heading for heading in headings)


OVERLAY = """\
price_overlay: 1
name: own
entries:
  - entry_id: june
    provider: openai
    model: gpt-4o
    rates: {input_tokens: "2.25"}
    known_from: 2026-06-03T08:00:00Z
    source: a letter
"""
POLICY = "cost_policy: 1\nprefer: provider_reported\n"


@pytest.mark.parametrize(
    ("command", "content"), [(["prices", "load"], OVERLAY), (["reference", "load"], POLICY)], ids=["prices", "policy"]
)
def test_after_a_price_was_loaded_the_command_that_applies_it_to_stored_usage_is_named(
    usage: StoredUsage, capsys: pytest.CaptureFixture[str], command: list[str], content: str
) -> None:
    """A loaded price changed no cost of June, and nothing said that it would not."""
    home = usage.settings.home
    (home / "new.yml").write_text(content)
    assert main([*command, str(home / "new.yml"), "--home", str(home)]) == 0
    assert "rerate" not in capsys.readouterr().err
    usage.meter([{}])
    usage.meter([{"occurred_at": datetime(2026, 6, 7, tzinfo=UTC)}])
    record(usage.settings.lake, usage.today, datetime(2026, 6, 1, tzinfo=UTC))

    assert main([*command, str(home / "new.yml"), "--home", str(home)]) == 0

    (line,) = [line for line in capsys.readouterr().err.splitlines() if "rerate" in line]
    asked = f"tollbook prices rerate --from 2026-06-01 --to 2026-06-08 --home {home}"
    assert line == f"stored usage keeps the prices it has; `{asked}` prices it by this"


def test_price_that_is_gone_refunds_nothing_in_a_closed_period(usage: StoredUsage) -> None:
    """Not to know a price any more is no evidence that a charged call was free; open periods follow the book."""
    usage.meter([{}])
    usage.meter([{"occurred_at": datetime(2026, 7, 12, tzinfo=UTC)}])
    close_june(usage)

    done = usage.rerate(usage.book_of(usage.price("another", "1")), end_date=date(2026, 8, 1))

    assert (done.changed_dates, done.total.changed_events, done.total.unpriced_after) == (1, 1, 1)


def close_june(usage: StoredUsage) -> None:
    """Write an entry that closes June, as if it had been frozen."""
    nothing = FrozenTotals(
        charges=0,
        calls=0,
        tokens=0,
        unpriced_calls=0,
        list_cost="0",
        contracted_cost="0",
        effective_cost="0",
        billed_cost="0",
    )
    entry = CloseEntry(
        number=1,
        step="close",
        period="2026-06",
        author="ben",
        reason="r",
        recorded_at=datetime(2026, 7, 2, tzinfo=UTC),
        digest="",
        build_number=1,
        lake_commit=1,
        rating_sequence=0,
        charge_sequence=0,
        adjustment_number=0,
        reference_number=0,
        reference_version="",
        catalogue_version="",
        billing_time_zone="UTC",
        hand_overs=0,
        totals=nothing,
        files=[],
    )
    append_close(usage.settings.lake, entry)
