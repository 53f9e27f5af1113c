"""What is written down about the embedded broker, `broker/state.json`."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class BrokerState(msgspec.Struct, frozen=True):
    """The last start of the embedded broker.

    Attributes:
        port: Port of the client listener on loopback.
        controller_port: Port of the KRaft controller listener on loopback.
        java: The `java` executable.
        started_at: When it was started, ISO 8601 in UTC.
        pid: Its process; None until it runs. For people and scripts: Tollbook asks the process table.
    """

    port: int
    controller_port: int
    java: str
    started_at: str
    pid: int | None = None


def read_state(path: Path) -> BrokerState | None:
    """Return what is written at `path`, or None when there is nothing or it cannot be read as state."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=BrokerState)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def write_state(path: Path, state: BrokerState) -> None:
    """Write the state whole: by a temporary name and a rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
    temporary.replace(path)
