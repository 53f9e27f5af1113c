"""`tollbook broker`: the Kafka of the embedded default."""

from __future__ import annotations

import typer

from tollbook.cli.options import Home, Json, print_json, print_table, progress
from tollbook.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="broker", help="A real Apache Kafka (KRaft) on this machine, on loopback only.")


@app.command()
def up(*, home: Home = None, as_json: Json = False) -> None:
    """Start the broker and make the topics.

    Prints where it listens. A broker that runs already is left as it is, and topics that are there keep
    their settings. The first start fetches Kafka's jars (43 MB) from Maven Central.
    """
    from dataclasses import replace

    from tollbook.broker import Broker
    from tollbook.broker.topics import definitions, ensure_topics

    settings = Settings.load(home=home)
    status = Broker(settings).up(progress)
    embedded = replace(settings, bootstrap_servers=status.bootstrap_servers)
    topics = ensure_topics(embedded, [each.topic for each in definitions()])
    if made := [topic.name for topic in topics if topic.created]:
        progress(f"made topics {', '.join(made)}")
    if as_json:
        print_json(status.as_dict())
    else:
        typer.echo(status.bootstrap_servers)


@app.command()
def down(*, home: Home = None, as_json: Json = False) -> None:
    """Stop the broker; its data stay."""
    from tollbook.broker import Broker

    status = Broker(Settings.load(home=home)).down(progress)
    if as_json:
        print_json(status.as_dict())


@app.command()
def status(*, home: Home = None, as_json: Json = False) -> None:
    """Show the broker; exit 1 unless it answers."""
    from tollbook.broker import Broker

    found = Broker(Settings.load(home=home)).status()
    if as_json:
        print_json(found.as_dict())
    else:
        print_table(("broker", "value"), found.as_dict().items())
    if not found.ready:
        raise typer.Exit(1)
