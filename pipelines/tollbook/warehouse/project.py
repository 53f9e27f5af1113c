"""dbt in this process: the project that ships with the package, run on one warehouse folder.

In process a build of one model takes 0.4 s where the command line takes 7 s, most of which is the import of dbt.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tollbook.contracts import shipped_folder
from tollbook.errors import BuildFailedError
from tollbook.logs import Notice
from tollbook.warehouse.lock import Tell
from tollbook.warehouse.state import WarehouseFolder

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

# Path, time of the last change in nanoseconds and size of each file of the project.
ProjectState = tuple[tuple[str, int, int], ...]

WAREHOUSE_VARIABLE = "TOLLBOOK_WAREHOUSE"
"""Read by the project's profiles.yml: the folder of the warehouse."""

_TRACEBACK = "Python model failed:"
_DIGESTED = (
    "dbt_project.yml",
    "macros/**/*.sql",
    "models/**/*.sql",
    "models/**/*.py",
    "models/**/*.yml",
    "models/**/*.md",
)
_PARSED: Final[dict[ProjectState, bytes]] = {}


@dataclass(frozen=True, slots=True)
class NodeFailure:
    """One model or test that did not end well.

    Attributes:
        name: Its name.
        status: What dbt calls it: `error`, `fail`.
        message: What dbt says of it, in one line.
    """

    name: str
    status: str
    message: str


def project_folder() -> Path:
    """Return the dbt project: that of the wheel, else that of the checkout."""
    return shipped_folder("dbt_project")


def project_digest() -> str:
    """Return a digest of everything that decides what the models make. Another digest calls for a full refresh."""
    folder = project_folder()
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _DIGESTED for path in folder.glob(pattern)):
        digest.update(path.relative_to(folder).as_posix().encode("utf-8") + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def run_dbt(folder: WarehouseFolder, arguments: Sequence[str], *, tell: Tell | None = None) -> tuple[NodeFailure, ...]:
    """Run dbt on the warehouse; return the nodes that failed.

    The process holds no lock on the databases afterwards. dbt's own words are in `logs/dbt.log`.

    Args:
        folder: The warehouse; its databases and its plan must be there.
        arguments: What follows `dbt`, such as `["build", "--exclude-resource-type", "unit_test"]`.
        tell: Hears of each model that was made.

    Raises:
        BuildFailedError: dbt could not begin.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    _remove_scratch(folder)
    project = str(project_folder())
    options = ["--project-dir", project, "--profiles-dir", project]
    options += ["--target-path", str(folder.target), "--log-path", str(folder.logs)]
    options += ["--log-level", "none", "--log-level-file", "info", "--no-use-colors"]
    if (folder.target / "manifest.json").exists() and "--full-refresh" not in arguments:
        options.append("--no-write-json")  # the project is that of the last full refresh, and writing takes 0.7 s
    callbacks = [] if tell is None else [_listener(tell)]
    with _environment({WAREHOUSE_VARIABLE: str(folder.root)}), _only_new_garbage(), no_debug_events():
        try:
            manifest = _remembered_manifest()
            result = dbtRunner(manifest=manifest, callbacks=callbacks).invoke([*arguments, *options])
            if result.exception is None:
                _remember_manifest(folder)
        finally:
            DuckDBConnectionManager.close_all_connections()
            gc.collect()  # a cursor that an error keeps alive would keep the file's lock
            _close_log()
    if result.success:
        return ()
    if result.exception is not None or result.result is None:
        raise BuildFailedError(f"dbt could not begin: {_one_line(result.exception)} (log: {folder.logs / 'dbt.log'})")
    nodes: Any = result.result
    return tuple(
        NodeFailure(each.node.name, str(each.status), _one_line(_fault_of(each.message)))
        for each in nodes.results
        if each.status in {"error", "fail"}
    )


def descriptions(folder: WarehouseFolder) -> dict[tuple[str, str], tuple[str, dict[str, str]]]:
    """Return what the last run's project says of each model: (schema, name) to its description and its columns'."""
    manifest: dict[str, Any] = json.loads((folder.target / "manifest.json").read_bytes())
    return {
        (node["schema"], node["alias"]): (
            node["description"],
            {name: column["description"] for name, column in node["columns"].items()},
        )
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }


def _remembered_manifest() -> Manifest | None:
    """Return the project as this process parsed it before, for whatever warehouse; None when it must be parsed.

    Parsing is most of a small build, and dbt itself parses again for each warehouse, whose folder is in its profile.
    """
    from dbt.contracts.graph.manifest import Manifest

    packed = _PARSED.get(_project_state())
    if packed is None:
        return None
    manifest: Manifest = Manifest.from_msgpack(packed)
    return manifest


def _remember_manifest(folder: WarehouseFolder) -> None:
    state, parsed = _project_state(), folder.target / "partial_parse.msgpack"
    if state not in _PARSED and parsed.exists():
        _PARSED.clear()
        _PARSED[state] = parsed.read_bytes()


def _project_state() -> ProjectState:
    folder = project_folder()
    states = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return tuple((str(path), state.st_mtime_ns, state.st_size) for path, state in states)


def _listener(tell: Tell) -> Any:
    def hear(event: Any) -> None:
        if event.info.name == "LogModelResult":
            description, status = str(event.data.description), str(event.data.status)
            seconds = float(event.data.execution_time)
            what = f"{description}: {status}, {seconds:.2f} s"
            model = description.rpartition(" ")[2]
            tell(Notice(what, event="model", model=model, status=status, seconds=round(seconds, 3)))

    return hear


@contextmanager
def _only_new_garbage() -> Iterator[None]:
    """Let the collector look through what is made within alone.

    dbt makes so many objects that it runs often, and what is there before them, Beam and Great Expectations above all,
    is much to look through each time.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def no_debug_events() -> Iterator[None]:
    """Let dbt drop at once what it tells at its debug level, as of every statement.

    It makes a message of each event before it asks who wants to hear it, a tenth of what a small build costs, and
    nobody does: `dbt.log` has what is at the level of information and above.
    """
    from dbt_common.events.base_types import BaseEvent, EventLevel
    from dbt_common.events.event_manager import EventManager
    from dbt_common.events.event_manager_client import ctx_set_event_manager, get_event_manager

    class InformationAndAbove(EventManager):
        def fire_event(
            self,
            e: BaseEvent,
            level: EventLevel | None = None,
            node: Any = None,
            force_warn_or_error_handling: bool = False,
        ) -> None:
            if (level or e.level_tag()) != EventLevel.DEBUG or force_warn_or_error_handling:
                super().fire_event(e, level, node, force_warn_or_error_handling)

    before = get_event_manager()
    ctx_set_event_manager(InformationAndAbove())
    try:
        yield
    finally:
        ctx_set_event_manager(before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for dbt, which reads its profile's from the process's environment, and put them back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _close_log() -> None:
    """Close the log file that dbt leaves open."""
    logger = logging.getLogger("file_log")
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()


def _remove_scratch(folder: WarehouseFolder) -> None:
    """Remove what is one build's own, also when that build was killed."""
    shutil.rmtree(folder.spill, ignore_errors=True)
    for leftover in (folder.scratch, folder.scratch.with_name(folder.scratch.name + ".wal")):
        leftover.unlink(missing_ok=True)


def _fault_of(message: str) -> str:
    """Return what dbt says of a failure; of a Python model's traceback the error alone."""
    return message.rstrip().rsplit("\n", 1)[-1] if _TRACEBACK in message else message


def _one_line(message: object) -> str:
    return " ".join(str(message).split())[:500]
