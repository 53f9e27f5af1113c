"""The worked organisation: four months in order of time, by what a user's commands call, and what is published then."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tollbook.broker import BrokerStatus
from tollbook.broker.connect import admin
from tollbook.broker.topics import definition
from tollbook.closing.close import CloseRequest, approve_close, propose_close, soft_close
from tollbook.closing.disputes import Move, adjust_line, open_dispute, resolve_dispute
from tollbook.errors import ApprovalError, CloseRefusedError
from tollbook.exports.journal import Journal, export_journal
from tollbook.exports.statements import Statements, export_statements
from tollbook.rating.load import installed_catalogue
from tollbook.rating.rerate import rerate
from tollbook.rating.sources.loading import load_overlay
from tollbook.reconcile.load import load_report
from tollbook.reference.kinds import load_file
from tollbook.senders.send import send_file
from tollbook.settings import Settings
from tollbook.stream.meter import MeterOptions, run_meter
from tollbook.warehouse.build import build
from tollbook.warehouse.query import ask

FOLDER = Path(__file__).parent
# Order matters where one refers to another.
_FIRST = ("hierarchy", "exchange_rates", "subscriptions", "shared_platforms", "fleets", "contract")


def _beside(name: str) -> None:
    """Make a module of this folder importable: under pytest's import mode none is by itself."""
    full = f"tests.worked_example.{name}"
    spec = importlib.util.spec_from_file_location(full, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[full] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


for _name in ("organisation", "posted_by_hand", "known_by_hand", "charges_by_hand", "by_hand"):
    _beside(_name)


@dataclass
class WorkedBook:
    """The organisation's book, and what was seen on the way.

    Attributes:
        settings: Its home and Kafka.
        topic: Topic of its events.
        refusals: What was refused, by occasion.
        statements: Statements by month, as they were exported at its close.
        journals: Journals by month.
        lines_at_close: Lines of a month when it was closed.
    """

    settings: Settings
    topic: str
    refusals: dict[str, str] = field(default_factory=dict)
    statements: dict[str, Statements] = field(default_factory=dict)
    journals: dict[str, Journal] = field(default_factory=dict)
    lines_at_close: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    def load(self, step: str, now: str) -> None:
        """Put the documents of a step into use."""
        paths = sorted((FOLDER / "documents" / step).glob("*.yml"))
        for path in sorted(paths, key=lambda each: _FIRST.index(each.stem) if each.stem in _FIRST else len(_FIRST)):
            if path.stem == "price_overlay":
                load_overlay(path, self.settings.price_overlays, installed_catalogue(), now=at(now))
            else:
                load_file(path, self.settings, now=at(now))

    def meter(self, delivery: str, now: str) -> None:
        """Send what was delivered together, and take it into the book."""
        lines = [json.dumps(event) for name, event in events() if name == delivery]
        path = self.settings.home / f"{delivery}.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert send_file(self.settings, str(path), topic=self.topic).records == len(lines)
        done = run_meter(MeterOptions(settings=self.settings, topics=(self.topic,), clock=lambda: at(now)))
        assert (done.accepted, done.rejected) == (len(lines), 0)

    def build(self, now: str) -> None:
        """Build and publish."""
        build(self.settings, clock=lambda: at(now))

    def close(self, period: str, now: str) -> None:
        """Close a period softly and by a proposal of ana's, and for good by ben."""
        for step, author in ((soft_close, "ana"), (propose_close, "ana"), (approve_close, "ben")):
            step(self.settings, CloseRequest(period, author, "month end"), clock=lambda: at(now))
        self.statements[period] = export_statements(self.settings, period)
        self.journals[period] = export_journal(self.settings, period)
        self.lines_at_close[period] = self.charge_lines(period)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the published file."""
        return ask(self.settings, sql).rows

    def charge_lines(self, period: str) -> list[tuple[Any, ...]]:
        """Return every charge line of a month, whole."""
        where = f"strftime(billing_period_start, '%Y-%m') = '{period}'"
        return self.rows(f"from finance.fct_charges where {where} order by all")

    def line(self, where: str) -> str:
        """Return the one charge line of which something holds."""
        ((charge_id,),) = self.rows(f"select charge_id from finance.fct_charges where {where}")
        return str(charge_id)

    def by_team(self, column: str = "team") -> dict[tuple[str, str], Decimal]:
        """Return the effective cost of each month and team, or another column."""
        sql = f"select strftime(billing_period_start, '%Y-%m'), {column}, sum(effective_cost) from finance.fct_charges"
        return {(month, name): cost for month, name, cost in self.rows(f"{sql} group by all order by all")}


def at(text: str) -> datetime:
    """Return an instant of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def events() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the deliveries and their events: a unit is a million input tokens and a quarter of that as output."""
    with (FOLDER / "events.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            units = int(row["units"])
            told = {name: row[name] for name in ("workflow", "team", "provider", "model", "event_id") if row[name]}
            for name, column in (("credential_id", "credential"), ("subscription_id", "subscription")):
                if row[column]:
                    told[name] = row[column]
            event: dict[str, Any] = {
                **told,
                "source": row["provider"],
                "occurred_at": f"{row['day']}T12:00:00Z",
                "path": "on_prem" if row["provider"] == "on_prem" else "model_api",
                "input_tokens": units * 1_000_000,
                "output_tokens": units * 250_000,
            }
            if row["department"]:
                event["tags"] = {"department": row["department"]}
            if row["accelerator_seconds"]:
                event["accelerator_seconds"] = row["accelerator_seconds"]
            yield row["delivery"], event


@pytest.fixture(scope="session")
def book(broker: BrokerStatus, tmp_path_factory: pytest.TempPathFactory) -> WorkedBook:
    """Live through the four months."""
    topic = f"llm.usage.worked_{uuid.uuid4().hex[:8]}"
    assert broker.bootstrap_servers is not None
    with admin(broker.bootstrap_servers) as client:
        made = {"num_partitions": 1, "configs": definition(topic).kafka_settings()}
        client.create_topics({topic: made}, wait_for_metadata=True)
    home = tmp_path_factory.mktemp("worked")
    held = WorkedBook(Settings(home=home, bootstrap_servers=broker.bootstrap_servers), topic)
    _june(held)
    _july(held)
    _august(held)
    _september(held)
    return held


def _june(book: WorkedBook) -> None:
    """The month ends; two lines are disputed, one rightly, which stops the close until ben has decided."""
    book.load("june", "2026-07-04T10:00")
    book.meter("june", "2026-07-01")
    book.build("2026-07-05")
    clock: dict[str, Any] = {"clock": lambda: at("2026-07-05T12:00")}
    review = book.line("team = 'legal' and workflow = 'legal-review' and charge_kind = 'usage'")
    platform = book.line(
        "team = 'mobile' and workflow = 'mobile-help' and source_id = 'vector-store' and charge_component = 'cluster' "
        "and month(billing_period_start) = 6 and charge_period_start = '2026-06-16'"
    )
    wrong = open_dispute(book.settings, review, author="lena of legal", reason="one unit was finance's", **clock)
    other = open_dispute(book.settings, platform, author="mia of mobile", reason="we do not use it", **clock)
    ana = CloseRequest("2026-06", "ana", "month end")
    soft_close(book.settings, ana, **clock)
    with pytest.raises(CloseRefusedError) as refused:
        propose_close(book.settings, ana, **clock)
    book.refusals["close of June with open disputes"] = str(refused.value)
    move = Move(Decimal("3.5"), "finance", "finance-close")
    told: dict[str, Any] = {"upheld": True, "reason": "agreed", "move": move, **clock}
    with pytest.raises(ApprovalError) as refused_too:
        resolve_dispute(book.settings, wrong.number, author="ana", **told)
    book.refusals["decision of ana's"] = str(refused_too.value)
    resolve_dispute(book.settings, wrong.number, author="ben", **told)
    told = {"upheld": False, "reason": "one call did", **clock}
    resolve_dispute(book.settings, other.number, author="ben", **told)
    book.build("2026-07-05T13:00")
    book.close("2026-06", "2026-07-06")


def _july(book: WorkedBook) -> None:
    """Usage of June comes late; a preview has no price, and is closed at an estimate that was approved before."""
    book.load("july", "2026-08-04T10:00")
    book.meter("july", "2026-08-01")
    book.build("2026-08-05")
    book.close("2026-07", "2026-08-06")


def _august(book: WorkedBook) -> None:
    """A price is restated and another told, a reorganisation comes to light, and a line of July is adjusted."""
    book.load("august", "2026-09-04T10:00")
    rerate(book.settings, first_date=date(2026, 7, 1), end_date=date(2026, 8, 1), clock=lambda: at("2026-08-20T10:00"))
    label = book.line("workflow = 'data-label' and charge_kind = 'usage' and month(billing_period_start) = 7")
    adjust_line(
        book.settings,
        label,
        Move(Decimal(7), "search", "search-eval"),
        author="ben",
        reason="labelled for search",
        clock=lambda: at("2026-08-10"),
    )
    book.meter("august", "2026-09-01")
    book.build("2026-09-05")
    book.close("2026-08", "2026-09-06")


def _september(book: WorkedBook) -> None:
    """An invoice of July turns up, usage of August too; the contract ends and what is left of its credit expires.

    Anthropic reports its usage of some days of August, among them a call that no event tells of.
    """
    book.load("september", "2026-10-04T10:00")
    report = FOLDER / "documents" / "september" / "anthropic_usage.json"
    told: dict[str, Any] = {"vendor": "anthropic", "author": "ana", "reason": "who used sonata?"}
    load_report([report], book.settings, **told, now=at("2026-10-04T11:00"))
    book.meter("september", "2026-10-01")
    book.build("2026-10-05")
    book.close("2026-09", "2026-10-06")
    book.build("2026-10-07")
