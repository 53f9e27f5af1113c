"""The demo from beginning to end: broker, events, stream, warehouse, comparison with the truth, page."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tollbook.broker import Broker
from tollbook.broker.topics import USAGE_TOPIC, ensure_topics
from tollbook.demo.home import DemoFiles, read_truth, refuse_a_book, refuse_added_events, refuse_another_demo
from tollbook.demo.interrupts import Interrupts, noted_interrupts
from tollbook.demo.next_steps import near
from tollbook.demo.steps import Steps, library_logs_in
from tollbook.demo.truth import Comparison
from tollbook.errors import NothingPublishedError, TollbookError
from tollbook.report.facts import Facts
from tollbook.settings import Settings

PAGE_NOTE = "Simulated data: this organisation does not exist"
_SETTLE_SECONDS = 1.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """What the demo found.

    Attributes:
        files: The demo's files.
        facts: What the published book says.
        comparison: How that compares with what was simulated.
    """

    files: DemoFiles
    facts: Facts
    comparison: Comparison


def run_demo(settings: Settings, *, events: int, seed: int, steps: Steps) -> DemoOutcome:
    """Run all of Tollbook on simulated usage; in the same home it can be run again and comes to the same totals.

    Kafka is the home's own embedded broker, whatever other Kafka the settings name, and is stopped at the end unless
    it ran before. An interrupt at any moment stops it too.

    Args:
        settings: The demo's home.
        events: Calls to simulate.
        seed: Seed of the simulation.
        steps: Shows what happens.

    Raises:
        MisuseError: The home holds another book.
        KeyboardInterrupt: It was interrupted; nothing that it started runs any more.
    """
    own = replace(settings, bootstrap_servers=None)
    files = DemoFiles.of(own)
    if read_truth(files) is None:
        refuse_a_book(own)
    with noted_interrupts() as interrupts, library_logs_in(files.log), _broker(own, steps, interrupts):
        run = _Demo(own, files, steps, interrupts)
        truth = run.simulated(events, seed)
        run.owners(events, seed)
        run.sent()
        run.metered()
        run.built()
        run.closed(events, seed)
        comparison = run.compared(truth)
        return DemoOutcome(files, run.page(), comparison)


class _Demo:
    """The steps between the start of the broker and its end."""

    def __init__(self, settings: Settings, files: DemoFiles, steps: Steps, interrupts: Interrupts) -> None:
        self._settings = settings
        self._files = files
        self._steps = steps
        self._interrupts = interrupts

    def simulated(self, events: int, seed: int) -> dict[str, Any]:
        """Write the traffic of an organisation, and return the truth of it."""
        from tollbook.simulate.simulation import Plan, simulate

        before = read_truth(self._files)
        plan = Plan(events=events, seed=seed)
        with self._step("simulate") as step:
            sent = _records_sent(self._settings)
            if before is None:
                refuse_a_book(self._settings, sent=sent)
            truth = simulate(
                plan,
                out=_unfinished(self._files.events),
                truth_path=_unfinished(self._files.truth),
                owners_path=_unfinished(self._files.owners),
                on_progress=lambda done, total: step.now(f"{done:,} of {total:,} calls"),
            )
            if before is not None:
                refuse_another_demo(self._settings, before, truth, sent=sent)
                self._refuse_added_events(truth["events"])
            for path in (self._files.truth, self._files.events, self._files.owners):
                _unfinished(path).replace(path)
            step.result = (
                f"{truth['lines']:,} lines: {truth['events']:,} calls of {plan.months} months, "
                f"{truth['duplicates']:,} told twice, {truth['rejected']:,} broken"
            )
        return truth

    def owners(self, events: int, seed: int) -> None:
        """Use the organisation's owner rules, and what else it tells of itself."""
        from tollbook.demo.month_end import MonthEnd
        from tollbook.demo.reference_data import reference_documents
        from tollbook.reference.owners import load_owners
        from tollbook.simulate.organisation import TEAMS
        from tollbook.simulate.simulation import Plan

        plan = Plan(events=events, seed=seed)
        with self._step("owners") as step:
            owners = load_owners(self._files.owners, self._settings.owners)
            corrected = MonthEnd(self._settings, plan.month_starts[0].date()).is_closed
            teams = TEAMS[: plan.team_count]
            documents = reference_documents(teams, plan.month_starts, plan.end, corrected=corrected)
            self._load(documents, step)
            step.result = (
                f"{len(owners.rules)} dated rules say who owns which usage; {len(documents)} files tell of platforms, "
                "seats and what else is shared"
            )

    def sent(self) -> None:
        """Put the traffic on its topic."""
        from tollbook.senders.send import send_file

        with self._step("send") as step:
            result = send_file(
                self._settings,
                str(self._files.events),
                on_progress=lambda state: step.now(f"{state.acknowledged:,} records"),
            )
            self._interrupts.check()
            if not result.complete:
                raise TollbookError(
                    f"expected every line of {self._files.events} on {result.topic}, "
                    f"{result.unacknowledged} records were not acknowledged: {result.failure}"
                )
            step.result = f"{result.records:,} records on {result.topic}"

    def metered(self) -> None:
        """Run the meter until it has read what was sent."""
        with self._step("meter") as step:
            step.now("loading Beam")
            from tollbook.stream.meter import MeterOptions, run_meter

            done = run_meter(
                MeterOptions(settings=self._settings, topics=(USAGE_TOPIC,)),
                report=lambda now: step.now(f"{now.read:,} records read"),
                should_stop=lambda: self._interrupts.seen,
            )
            step.result = f"{done.read:,} records read: {done.accepted:,} priced and owned, {done.rejected:,} rejected"

    def built(self) -> None:
        """Make and publish the marts."""
        with self._step("warehouse") as step:
            step.now("loading dbt and Great Expectations")
            from tollbook.warehouse.build import build

            result = build(self._settings, tell=step.now)
            step.result = f"{result.event_dates} days made, {result.hand_overs:,} amounts handed over, all equal"

    def closed(self, events: int, seed: int) -> None:
        """Close the first month, let its invoices come and a cost turn out higher, and make the corrections of it."""
        from tollbook.demo.month_end import MonthEnd
        from tollbook.demo.reference_data import reference_documents
        from tollbook.simulate.organisation import TEAMS
        from tollbook.simulate.simulation import Plan
        from tollbook.warehouse.build import build

        plan = Plan(events=events, seed=seed)
        month = MonthEnd(self._settings, plan.month_starts[0].date())
        with self._step("close") as step:
            if not month.is_closed and not month.can_close:
                step.result = f"{month.period} is not over"
                return
            step.now(f"closing {month.period}")
            entry = month.close()
            invoices = month.invoice_usage(self._files.reference / "usage_invoices.yml")
            teams = TEAMS[: plan.team_count]
            self._load(reference_documents(teams, plan.month_starts, plan.end, corrected=True), step)
            build(self._settings, tell=step.now)
            step.result = (
                f"{month.period} closed by two people at {Decimal(entry.totals.effective_cost):,.2f} USD; then "
                f"{invoices} invoices, a vendor's report and a higher cost came: corrections in the next month"
            )

    def _load(self, documents: Mapping[str, str], step: Any) -> None:
        """Write reference files beside the demo's others and put them into use."""
        from tollbook.reference.kinds import load_file

        self._files.reference.mkdir(parents=True, exist_ok=True)
        for kind, text in documents.items():
            path = self._files.reference / f"{kind}.yml"
            path.write_text(text, encoding="utf-8")
            step.now(load_file(path, self._settings).holds)

    def compared(self, truth: dict[str, Any]) -> Comparison:
        """Compare the published book with the truth."""
        from tollbook.demo.truth import compare

        with self._step("check") as step:
            found = compare(self._settings, truth)
            if found.differences:
                step.result = (
                    f"{len(found.differences):,} of {found.amounts:,} amounts differ from the simulator's truth"
                )
            else:
                dollars, pico = divmod(truth["list_cost_pico_usd"], 10**12)
                step.result = (
                    f"{found.amounts:,} amounts equal the simulator's truth: {truth['events']:,} calls, "
                    f"{truth['input_tokens'] + truth['output_tokens']:,} tokens, {dollars:,}.{pico:012d} USD"
                )
        return found

    def page(self) -> Facts:
        """Write the page and the report site; return what the page says."""
        from tollbook.report.facts import read_facts
        from tollbook.report.page import write_page
        from tollbook.report.site.write import write_site

        with self._step("report") as step:
            pages = write_site(self._settings, note=PAGE_NOTE)
            step.result = f"{near(next(iter(pages)))} and {len(pages) - 1} more pages"
        with self._step("page") as step:
            size = write_page(self._settings, self._files.page, note=PAGE_NOTE)
            step.result = f"{near(self._files.page)} ({size / 1e6:.1f} MB)"
            return read_facts(self._settings)

    def _refuse_added_events(self, simulated: int) -> None:
        from tollbook.report.facts import read_facts

        try:
            published = read_facts(self._settings).whole.calls
        except NothingPublishedError:
            return
        refuse_added_events(self._settings, simulated=simulated, published=published)

    @contextmanager
    def _step(self, name: str) -> Iterator[Any]:
        with self._steps.step(name) as step:
            try:
                yield step
            except Exception as failure:
                if self._interrupts.seen:  # what a library made of the interrupt
                    raise KeyboardInterrupt from failure
                raise
            self._interrupts.check()


@contextmanager
def _broker(settings: Settings, steps: Steps, interrupts: Interrupts) -> Iterator[None]:
    """Run the embedded broker; one that ran before is used and left alone."""
    broker = Broker(settings)
    ran_before = broker.status().running
    is_up = False
    try:
        with steps.step("broker") as step:
            status = broker.up(step.now)
            is_up = True
            ensure_topics(settings, [USAGE_TOPIC])
            step.result = f"Apache Kafka {status.kafka_version} on {status.bootstrap_servers}"
        yield
    finally:
        interrupts.tidying = True
        if not ran_before:
            with steps.step("broker") as step:
                _stop(broker, settle_seconds=0.0 if is_up else _SETTLE_SECONDS)
                step.result = "stopped"


def _stop(broker: Broker, *, settle_seconds: float) -> None:
    """Stop the broker.

    Args:
        broker: The broker.
        settle_seconds: For how long to look for it again. A start that was interrupted may have left a process that
            is not yet to be told from others.
    """
    deadline = time.monotonic() + settle_seconds
    while True:
        broker.down(lambda _message: None)
        if time.monotonic() >= deadline:
            return
        time.sleep(_POLL_SECONDS)


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}")


def _records_sent(settings: Settings) -> int:
    """Return how many offsets the usage topic has behind it."""
    from kafka import KafkaConsumer, TopicPartition

    from tollbook.broker.connect import cluster_of
    from tollbook.connection.clients import connect

    consumer = connect(KafkaConsumer, cluster_of(settings))
    try:
        partitions = consumer.partitions_for_topic(USAGE_TOPIC) or ()
        ends = consumer.end_offsets([TopicPartition(USAGE_TOPIC, number) for number in partitions])
    finally:
        consumer.close()
    return sum(ends.values())
