"""`tollbook meter`: the Beam job from Kafka to the lake."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tollbook.cli.options import BootstrapServers, Home, Json, LogFormat, print_json, print_table, telling
from tollbook.errors import MisuseError
from tollbook.formats.registry import format_named
from tollbook.logs import Notice, Tell
from tollbook.settings import MAX_COMMIT_RECORDS, Settings

if TYPE_CHECKING:
    from tollbook.stream.meter import MeterProgress
    from tollbook.stream.observe import MeterObserver

DEFAULT_TOPIC = "llm.usage"
_RUNNERS = ("embedded", "flink")


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command()(meter)


def meter(
    *,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="Read what the topics hold now, then end.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on reading until stopped.")] = False,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            "--topic",
            help="Topic to read, or TOPIC=FORMAT where its name does not tell its format; may be given again "
            "[default: llm.usage].",
        ),
    ] = None,
    max_commit_records: Annotated[
        int, typer.Option("--max-commit-records", min=1, help="Most records in one commit.")
    ] = MAX_COMMIT_RECORDS,
    max_reject_share: Annotated[
        str,
        typer.Option(
            "--max-reject-share",
            help="Largest share of rejects among the last records, from 0 to 1; beyond it the meter stops and says "
            "why, before it commits them. `none` for no limit.",
        ),
    ] = "0.5",
    reject_window_records: Annotated[
        int, typer.Option("--reject-window-records", min=1, help="How many of the last records that share is of.")
    ] = 10_000,
    metrics_address: Annotated[
        str | None,
        typer.Option(
            "--metrics-address",
            help="Serve Prometheus metrics there while following, as HOST:PORT or PORT (on 127.0.0.1). "
            "Who reaches it may read it.",
            show_default=False,
        ),
    ] = None,
    log_format: LogFormat = None,
    runner: Annotated[
        str,
        typer.Option(
            "--runner", help="Beam runner: `embedded` runs in this process, `flink` on a cluster of Apache Flink."
        ),
    ] = "embedded",
    flink_master: Annotated[
        str | None,
        typer.Option(
            "--flink-master",
            help="Flink's REST interface, HOST:PORT [default: the cluster of `tollbook flink up`].",
            show_default=False,
        ),
    ] = None,
    flink_job_server: Annotated[
        str | None,
        typer.Option(
            "--flink-job-server",
            help="Beam's job server, HOST:PORT [default: that of the cluster].",
            show_default=False,
        ),
    ] = None,
    flink_workers: Annotated[
        str | None,
        typer.Option(
            "--flink-workers",
            help="Where task managers ask for Python workers, HOST:PORT as they see it [default: that of the cluster].",
            show_default=False,
        ),
    ] = None,
    parallelism: Annotated[
        int | None,
        typer.Option("--parallelism", min=1, help="Tasks of each step on Flink [default: 1].", show_default=False),
    ] = None,
    savepoint: Annotated[
        str | None,
        typer.Option("--savepoint", help="Savepoint of a Flink job to go on from, a URL.", show_default=False),
    ] = None,
    home: Home = None,
    bootstrap_servers: BootstrapServers = None,
    as_json: Json = False,
) -> None:
    """Read usage events from Kafka, price, attribute and aggregate them, and commit them to the lake.

    What was read is what the lake's newest manifest says, so a meter that was killed goes on where the book ends.
    Ctrl-C and SIGTERM end it after the commit under way.
    """
    with telling(log_format) as tell:
        if until_caught_up == follow:
            raise MisuseError("expected one of --until-caught-up and --follow")
        if metrics_address is not None and not follow:
            raise MisuseError("expected --metrics-address with --follow: another meter ends before it could be scraped")
        if runner not in _RUNNERS:
            raise MisuseError(f"expected --runner {' or '.join(_RUNNERS)}, got {runner!r}")
        told = {
            "--flink-master": flink_master,
            "--flink-job-server": flink_job_server,
            "--flink-workers": flink_workers,
            "--parallelism": parallelism,
            "--savepoint": savepoint,
        }
        for_flink = [name for name, value in told.items() if value is not None]
        if runner != "flink" and for_flink:
            raise MisuseError(f"expected --runner flink with {', '.join(for_flink)}, got --runner {runner}")
        with quiet_imports():
            from tollbook.stream.flood import FloodLimit
            from tollbook.stream.meter import MeterOptions, run_meter

        topics = [_topic_and_format(each) for each in topic or [DEFAULT_TOPIC]]
        settings = Settings.load(home=home, bootstrap_servers=bootstrap_servers)
        options = MeterOptions(
            settings=settings,
            topics=tuple(name for name, _ in topics),
            formats={name: told for name, told in topics if told},
            follow=follow,
            max_commit_records=max_commit_records,
            flood=FloodLimit(_share(max_reject_share), reject_window_records),
        )
        # The meter says itself what Kafka does; its client's own log would say it five times.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        # Beam would tell every error of a step with a traceback, which is what `main` tells in a sentence.
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
        with _stopping(tell) as should_stop, _watching(settings, metrics_address, tell) as watch:
            run: Callable[..., MeterProgress] = run_meter
            if runner == "flink":
                from tollbook.flink.meter import run_on_flink
                from tollbook.flink.target import target_told

                target = target_told(
                    settings,
                    master=flink_master,
                    job_server=flink_job_server,
                    workers=flink_workers,
                    parallelism=parallelism or 1,
                    savepoint=savepoint,
                )
                run = partial(run_on_flink, target=target)
            outcome = run(options, report=partial(_tell, tell), tell=tell, should_stop=should_stop, observer=watch)
    if as_json:
        print_json(
            {
                "commit": outcome.commit,
                "read": outcome.read,
                "accepted": outcome.accepted,
                "rejected": outcome.rejected,
            }
        )
    else:
        print_table(
            ("commit", "read", "accepted", "rejected"),
            [(outcome.commit, outcome.read, outcome.accepted, outcome.rejected)],
        )


def _share(told: str) -> float | None:
    """Return a share from 0 to 1, None for no limit."""
    if told == "none":
        return None
    try:
        share = float(told)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise MisuseError(f"expected a share from 0 to 1 or `none` for --max-reject-share, got {told!r}")
    return share


def _topic_and_format(told: str) -> tuple[str, str]:
    """Return a topic and the format that it is told to have, empty where it is not told."""
    topic, _, name = told.partition("=")
    return topic, format_named(name).name if name else ""


@contextmanager
def quiet_imports() -> Iterator[None]:
    """Keep warnings of libraries about optional parts, which Tollbook does not use, off stderr while they load."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _tell(tell: Tell, done: MeterProgress) -> None:
    sentence = f"commit {done.commit}: {done.read:,} read, {done.accepted:,} accepted, {done.rejected:,} rejected"
    tell(Notice(sentence, event="commit", **asdict(done)))


@contextmanager
def _watching(settings: Settings, address: str | None, tell: Tell) -> Iterator[MeterObserver | None]:
    """Serve the metrics of the book and of the meter that the yielded observer watches, where an address is told."""
    if address is None:
        yield None
        return
    from tollbook.health.book_metrics import BookMetrics
    from tollbook.health.meter_metrics import MeterMetrics
    from tollbook.health.server import serving_metrics

    watch = MeterMetrics()
    with serving_metrics(address, BookMetrics(settings), watch) as page:
        tell(Notice(f"metrics are at {page}", event="metrics", address=page))
        yield watch


@contextmanager
def _stopping(tell: Tell) -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT or SIGTERM into a wish to stop; a second one ends the process at once."""
    wishes: list[int] = []

    def note(number: int, _frame: object) -> None:
        wishes.append(number)
        signal.signal(number, signal.SIG_DFL)
        tell(Notice("stopping after the commit under way", event="stopping"))

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(wishes)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
