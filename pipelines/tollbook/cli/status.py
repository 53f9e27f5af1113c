"""`tollbook status`: whether the book is current and balanced."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import typer

from tollbook.cli.options import BootstrapServers, Home, Json, connected, print_json, print_table
from tollbook.settings import Settings


def register(parent: typer.Typer) -> None:
    """Add the command to the command line."""
    parent.command()(status)


def status(*, home: Home = None, bootstrap_servers: BootstrapServers = None, as_json: Json = False) -> None:
    """Say whether the book is current and balanced, how old its newest event is, and what to do where it is not.

    It looks at Kafka, the lake, the meter, the warehouse and the disk, and holds up none of them. Exits 1 on a
    finding.
    """
    from tollbook.health.findings import findings
    from tollbook.health.status import book_status
    from tollbook.health.words import lines, verdict

    # What Kafka's client would log is said in the status.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    seen = book_status(connected(Settings.load(home=home, bootstrap_servers=bootstrap_servers)), now=datetime.now(UTC))
    found = findings(seen)
    if as_json:
        told = [
            {"code": each.code, "against": each.against, "sentence": each.sentence, "remedy": each.remedy}
            for each in found
        ]
        print_json({"well": not found, "verdict": verdict(seen, found), "findings": told} | seen.as_dict())
    else:
        typer.echo(verdict(seen, found))
        typer.echo()
        width = max(len(subject) for subject, _ in lines(seen))
        for subject, words in lines(seen):
            typer.echo(f"{subject.ljust(width)}  {words}")
        waiting = [each for each in (seen.kafka.partitions if seen.kafka is not None else ()) if each.lag or each.lost]
        if waiting:
            typer.echo()
            print_table(
                ("topic", "partition", "waiting", "lost", "next offset", "end"),
                [(each.topic, each.partition, each.lag, each.lost, each.committed, each.end) for each in waiting],
            )
        for each in found:
            typer.echo(f"\n{each.sentence[0].upper()}{each.sentence[1:]}.\n  To do: {each.remedy}.")
    if found:
        raise typer.Exit(1)
