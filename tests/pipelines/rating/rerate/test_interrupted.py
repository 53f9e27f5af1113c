"""Rerates that die, meet each other or meet a meter: the ratings count whole or not at all."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from tollbook.errors import LakeLockedError
from tollbook.lake.log import log_lock
from tollbook.lake.ratings import newest_rating, ratings_log
from tollbook.rating.rerate import rerate
from tollbook.rating.store import record, versions

if TYPE_CHECKING:
    from tests.pipelines.rating.rerate.conftest import StoredUsage

    from tollbook.rating.book import PriceBook
    from tollbook.settings import Settings


RERATE = """
import sys, time
from datetime import date
from fractions import Fraction
from pathlib import Path
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.rerate import rerate
from tollbook.settings import Settings

rates = {"input_tokens": Fraction(sys.argv[2]) * 1_000_000, "output_tokens": 0}
book = PriceBook.of(Catalogue.from_rows([Price(provider="openai", model="gpt-4o", rates=rates)], version="other"))
print("ready", flush=True)
done = rerate(
    Settings(home=Path(sys.argv[1])), first_date=date(2026, 6, 1), end_date=date(2026, 7, 1),
    load_book=lambda _: book, tell=lambda message: print(message, flush=True),
)
print(done.sequence, flush=True)
"""


def start_rerate(usage: StoredUsage, usd_per_million: str) -> subprocess.Popen[str]:
    """Start a rerate in a process of its own."""
    command = [sys.executable, "-c", RERATE, str(usage.settings.home), usd_per_million]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_rerate_killed_at_random_moments_counts_whole_or_not_at_all(usage: StoredUsage) -> None:
    """Nobody chooses the moment of a power cut; the next run sweeps what was left and does it again."""
    for day in range(1, 13):
        usage.meter([{"occurred_at": datetime(2026, 6, day, tzinfo=UTC)}] * 300)
    chance = random.Random(20260601)
    for _ in range(8):
        process = start_rerate(usage, "3")
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        process.communicate()
        assert set(usage.in_force()) in ({Decimal("2.5")}, {Decimal(3)})

    usage.rerate(usage.book_of(usage.price("gpt-4o", "3"), version="other"))

    assert set(usage.in_force()) == {Decimal(3)}
    named = {file.path for entry in usage.entries() for file in entry.files}
    assert usage.data_files() == named
    assert newest_rating(usage.settings.lake) == 1
    assert not list(ratings_log(usage.settings.lake).glob(".*.tmp"))


def test_second_rerate_waits_for_the_first_and_finds_nothing_left(usage: StoredUsage) -> None:
    """Two people fix one price at once; it is fixed once."""
    usage.meter([{}])
    with log_lock(ratings_log(usage.settings.lake)):
        waiting = start_rerate(usage, "3")
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "ready\n"
        assert "waiting for it to end" in waiting.stdout.readline()
        assert waiting.poll() is None
        assert newest_rating(usage.settings.lake) == 0
    other = start_rerate(usage, "3")
    told = [process.communicate(timeout=300)[0].splitlines()[-1] for process in (waiting, other)]

    assert sorted(told) == ["1", "None"]
    assert usage.in_force() == [Decimal(3)]


def test_meter_may_run_meanwhile(usage: StoredUsage) -> None:
    """What is committed after a rerate began is not looked at, and the next one takes it."""
    usage.meter([{}])

    def meter_meanwhile(message: str) -> None:
        if message.startswith("2026-06-01"):
            usage.meter([{"event_id": "late"}])

    first = usage.rerate(usage.fixed, tell=meter_meanwhile)

    assert (first.lake_commit, usage.entries()[0].lake_commit) == (1, 1)
    assert usage.in_force() == [Decimal(3), Decimal("2.5")]
    second = usage.rerate(usage.fixed)
    assert (second.sequence, second.total.changed_events) == (2, 1)
    assert usage.in_force() == [Decimal(3), Decimal(3)]


def test_a_meter_that_took_a_newer_book_meanwhile_has_the_last_word_on_which_is_in_use(usage: StoredUsage) -> None:
    """Recorded at its end, the book of a long rerate came to be in use after a newer one, from then on and for ever."""
    usage.meter([{} for _ in range(3)])
    newer = usage.book_of(usage.price("gpt-4o", "9.00"), version="newer")
    lake = usage.settings.lake
    began, meanwhile, ended = (datetime(2026, 8, 1, 0, minute, tzinfo=UTC) for minute in (0, 5, 10))
    instants = [began]

    def meter_meanwhile(message: str) -> None:
        if "differ" in message:
            record(lake, newer, meanwhile)
            instants.append(ended)

    usage.rerate(usage.fixed, tell=meter_meanwhile, clock=lambda: instants[-1])
    in_use = [(entry.recorded_at, entry.version) for entry in versions(lake)]
    assert in_use == [(began, usage.fixed.version), (meanwhile, newer.version)]
    (entry,) = usage.entries()
    assert (entry.recorded_at, entry.catalogue_version) == (ended, usage.fixed.version)


def test_a_rerate_that_waited_prices_by_the_book_in_force_when_its_turn_came(usage: StoredUsage) -> None:
    """The files may have changed while another rerate was at work, and what it wrote may be by the newer ones."""
    usage.meter([{}])
    seen: list[bool] = []

    def load(_: Settings) -> PriceBook:
        try:
            with log_lock(ratings_log(usage.settings.lake)):
                seen.append(False)
        except LakeLockedError:
            seen.append(True)
        return usage.fixed

    rerate(usage.settings, first_date=date(2026, 6, 1), end_date=date(2026, 7, 1), load_book=load)
    assert seen == [True]
