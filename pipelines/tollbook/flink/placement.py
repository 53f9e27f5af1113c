"""Ports for the cluster: those of its last start while they are free, else others."""

from __future__ import annotations

from dataclasses import fields

from tollbook.errors import MisuseError
from tollbook.flink.components import Component
from tollbook.flink.configuration import Ports
from tollbook.flink.options import PREFERRED_REST_PORT
from tollbook.services.ports import HOST, any_free, is_free


def chosen_ports(before: Ports | None, *, asked: int | None, avoid: frozenset[int]) -> Ports:
    """Return ports that are free for a cluster of which nothing runs.

    Args:
        before: The ports of its last start.
        asked: The port that the REST interface must have; None leaves the choice.
        avoid: Ports that turned out to be taken.

    Raises:
        MisuseError: The port that was asked for is taken.
    """
    if asked is not None and (asked in avoid or not is_free(asked)):
        raise MisuseError(
            f"expected --rest-port {asked} to be free, another program listens on {HOST}:{asked}. "
            "Choose another, or leave it out for any that is free."
        )
    names = [field.name for field in fields(Ports)]
    wanted: dict[str, int | None] = {name: None if before is None else getattr(before, name) for name in names}
    if asked is not None:
        wanted["rest"] = asked
    elif wanted["rest"] is None:
        wanted["rest"] = PREFERRED_REST_PORT
    kept: dict[str, int] = {}
    for name, port in wanted.items():
        if port is not None and port not in avoid and port not in kept.values() and is_free(port):
            kept[name] = port
    spare = iter([port for port in any_free(2 * len(names)) if port not in avoid and port not in kept.values()])
    return Ports(**{name: kept[name] if name in kept else next(spare) for name in names})


def taken_ports(part: Component) -> str:
    """Return which ports of a process that does not run are taken, in words; empty when none is."""
    return ", ".join(f"{HOST}:{port} ({what})" for what, port in part.ports.items() if not is_free(port))
