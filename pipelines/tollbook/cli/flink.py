"""`tollbook flink`: an Apache Flink cluster on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from tollbook.cli.options import Home, Json, print_json, print_table, progress
from tollbook.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

TaskManagers = Annotated[
    int | None, typer.Option("--task-managers", help="How many task managers [default: as before, else 2].")
]
Slots = Annotated[int | None, typer.Option("--slots", help="Slots of each task manager [default: as before, else 1].")]
CheckpointSeconds = Annotated[
    float | None,
    typer.Option("--checkpoint-seconds", help="Time between checkpoints of a job [default: as before, else 2]."),
]
RestPort = Annotated[
    int | None,
    typer.Option("--rest-port", help="Port of REST and web page [default: as before, else 8081 or any that is free]."),
]


def register(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="flink", help="A real Apache Flink cluster on this machine, without containers.")


@app.command()
def up(
    *,
    home: Home = None,
    task_managers: TaskManagers = None,
    slots: Slots = None,
    checkpoint_seconds: CheckpointSeconds = None,
    rest_port: RestPort = None,
    as_json: Json = False,
) -> None:
    """Start the cluster, or replace what died of it.

    Prints the address of its REST interface, which is also its web page. What runs already is left as it is, and
    unfinished jobs go on from their newest checkpoint. The first start fetches its jars (165 MB) from Maven Central.
    """
    from tollbook import flink

    options = flink.FlinkOptions(
        task_managers=task_managers, slots=slots, checkpoint_seconds=checkpoint_seconds, rest_port=rest_port
    )
    cluster = flink.up(Settings.load(home=home), progress, options)
    if as_json:
        print_json(cluster.as_dict())
    else:
        typer.echo(cluster.rest_url)


@app.command()
def down(*, home: Home = None, as_json: Json = False) -> None:
    """Stop the cluster; checkpoints, savepoints and unfinished jobs are kept."""
    from tollbook import flink

    status = flink.down(Settings.load(home=home), progress)
    if as_json:
        print_json(status.as_dict())


@app.command()
def status(*, home: Home = None, as_json: Json = False) -> None:
    """Show the cluster, its processes and its jobs; exit 1 unless all of it answers."""
    from tollbook import flink
    from tollbook.errors import FlinkError
    from tollbook.flink.components import JOB_MANAGER
    from tollbook.flink.rest import FlinkRest

    found = flink.status(Settings.load(home=home))
    jobs: tuple[dict[str, object], ...] = ()
    if found.cluster is not None and any(each.pid for each in found.processes if each.name == JOB_MANAGER):
        try:
            jobs = tuple(each.as_dict() for each in FlinkRest(found.cluster.rest_url).jobs())
        except FlinkError as error:
            progress(error.message)
    told = found.as_dict()
    processes = told.pop("processes")
    if as_json:
        print_json({**told, "processes": processes, "jobs": jobs})
    else:
        print_table(("flink", "value"), told.items())
        if found.processes:
            typer.echo()
            rows = [
                (
                    each.name,
                    each.pid,
                    ", ".join(f"{port} {what}" for what, port in each.ports.items()) or None,
                    each.log,
                )
                for each in found.processes
            ]
            print_table(("process", "pid", "ports", "log"), rows)
        if jobs:
            typer.echo()
            print_table(tuple(jobs[0]), [tuple(each.values()) for each in jobs])
    if not found.ready:
        raise typer.Exit(1)
