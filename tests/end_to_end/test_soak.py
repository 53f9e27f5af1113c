"""The soak: a meter that follows, among kills, broker restarts, builds, publishes, compactions and readers.

What happens, and in which order, follows from a seed, which the test prints; `TOLLBOOK_SOAK_SEED` sets another one, and
`TOLLBOOK_SOAK_DECKS` says how often each event happens: once by default, in a minute or two, and about as many minutes
as decks beyond. Whatever happened, the totals at the end are the simulator's, to the pico-dollar.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tollbook.broker import Broker
from tollbook.lake.compaction import compact
from tollbook.stream.meter import MeterOptions, run_meter
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Book, Commands, NewTraffic, OwnBroker, Readers, Running, Until

SEED = int(os.environ.get("TOLLBOOK_SOAK_SEED", "20261126"))
DECKS = int(os.environ.get("TOLLBOOK_SOAK_DECKS", "1"))
METER_STEPS = ("chunk_read", "batch_decoded", "file_written", "file_renamed", "folders_synced", "entry_linked")
COMPACTION_STEPS = ("file_renamed", "compaction_written", "entry_written", "compaction_made")
PUBLISH_STEPS = ("marts_copied", "pointer_swapped")
EVENTS_A_DECK = 1_500


class Soak:
    """A book in use, and what may happen to it."""

    def __init__(self, book: Book, broker: Broker, commands: Commands, until: Until, chance: random.Random) -> None:
        self.book, self._broker, self._commands, self._until = book, broker, commands, until
        self._chance = chance
        self._sent = 0
        self._built = False
        self.meter = self._follow()

    @property
    def events(self) -> tuple[Callable[[], None], ...]:
        """What may happen, each a method."""
        return (
            self.kill_meter,
            self.meter_dies_at_a_step,
            self.stop_meter,
            self.restart_broker,
            self.kill_broker,
            self.build,
            self.publish,
            self.publish_dies_at_a_step,
            self.compact,
            self.compaction_dies_at_a_step,
        )

    def send(self, lines: list[bytes]) -> None:
        """Send records."""
        with self.book.producing() as sending:
            sending.send(lines)
        self._sent += len(lines)

    def kill_meter(self) -> None:
        """Kill -9, whatever it is at."""
        self.meter.end()
        assert self.meter.wait() == -signal.SIGKILL
        self.meter = self._follow()

    def meter_dies_at_a_step(self) -> None:
        """A meter that kills itself once it has read something."""
        self.stop_meter(start=False)
        dying = self._follow(fault={"step": self._chance.choice(METER_STEPS), "kind": "kill"})
        self.send([b"a record that is no event, so that there is something to read"])
        assert dying.wait() == -signal.SIGKILL
        self.meter = self._follow()

    def stop_meter(self, *, start: bool = True) -> None:
        """A graceful stop, or a quick one of a meter that has not begun yet."""
        os.kill(self.meter.pid, signal.SIGTERM)
        assert self.meter.wait() in {0, -signal.SIGTERM}, self.meter.told()
        if start:
            self.meter = self._follow()

    def restart_broker(self) -> None:
        """Kafka stops and comes back; a meter that has begun waits for it."""
        self._catch_up()
        self._broker.down(_nobody)
        self._broker.up(_nobody)

    def kill_broker(self) -> None:
        """Kafka dies and comes back."""
        self._catch_up()
        pid = self._broker.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self._until(lambda: not self._broker.status().running)
        self._broker.up(_nobody)

    def build(self) -> None:
        """The marts are made and published while the meter goes on."""
        self._until(lambda: self.meter.has_ended() or self.book.records() > 0)
        build(self.book.settings)
        self._built = True

    def publish(self) -> None:
        """The last good build is published again."""
        if self._built:
            ended, told = self._commands.run(self.book.settings, "warehouse", "publish")
            assert ended == 0, told

    def publish_dies_at_a_step(self) -> None:
        """A publish that kills itself."""
        if self._built:
            fault = {"step": self._chance.choice(PUBLISH_STEPS), "kind": "kill"}
            assert self._commands.run(self.book.settings, "warehouse", "publish", fault=fault)[0] == -signal.SIGKILL

    def compact(self) -> None:
        """Few files are made of many while the meter goes on."""
        self._until(lambda: self.meter.has_ended() or self.book.records() > 0)
        ended, told = self._commands.run(self.book.settings, "lake", "compact", "--now")
        assert ended == 0, told

    def compaction_dies_at_a_step(self) -> None:
        """A compaction that kills itself, if it has anything to do."""
        self._until(lambda: self.meter.has_ended() or self.book.records() > 0)
        fault = {"step": self._chance.choice(COMPACTION_STEPS), "kind": "kill"}
        ended, told = self._commands.run(self.book.settings, "lake", "compact", "--now", fault=fault)
        assert ended in {-signal.SIGKILL, 0}, told

    def finish(self) -> int:
        """Let the meter read all there is, stop it, and return how many records were sent."""
        self._catch_up()
        self.stop_meter(start=False)
        return self._sent

    def _catch_up(self) -> None:
        self._until(lambda: self.meter.has_ended() or self.book.records() == self._sent)

    def _follow(self, **options: object) -> Running:
        command = ("meter", "--follow", "--topic", self.book.topic, "--max-reject-share", "none")
        return self._commands.start(self.book.settings, *command, **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_whatever_happens_in_whatever_order_the_totals_are_exact(
    own_broker: OwnBroker,
    book: Book,
    new_traffic: NewTraffic,
    commands: Commands,
    until: Until,
    readers: Readers,
) -> None:
    """The faults of all other tests, mixed, on one book that is in use."""
    print(f"soak of {DECKS} decks with TOLLBOOK_SOAK_SEED={SEED}")  # noqa: T201 - to run it again
    chance = random.Random(SEED)
    traffic = new_traffic(events=EVENTS_A_DECK * DECKS, seed=SEED)
    book = replace(book, settings=own_broker.settings_for(book), topic=own_broker.topic)
    soak = Soak(book, own_broker.broker, commands, until, chance)
    deck = [event for _ in range(DECKS) for event in chance.sample(soak.events, len(soak.events))]
    extra = DECKS  # the records that are no events, one for each meter that dies at a step
    try:
        with readers(book, 1) as seen:
            for event, lines in zip(deck, traffic.slices(len(deck)), strict=True):
                soak.send(lines)
                event()
            read = soak.finish()
    finally:
        soak.meter.end()

    assert [each["faults"] for each in seen] == [[]]
    assert read == len(traffic.lines) + extra
    run_meter(MeterOptions(settings=book.settings, topics=(book.topic,)))
    compact(book.settings.lake, until=datetime.now(UTC), clock=lambda: datetime.now(UTC))
    book.assert_whole(read=read)
    build(book.settings)
    truth = traffic.truth | {name: traffic.truth[name] + extra for name in ("lines", "rejected")}
    book.assert_true(truth)


def _nobody(_message: str) -> None:
    """Hear what a broker tells, and keep it for oneself."""
