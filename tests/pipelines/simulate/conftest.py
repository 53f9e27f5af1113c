"""A small simulation for the tests that look at its lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tollbook.simulate.delivery import Shares
from tollbook.simulate.simulation import Plan, simulate


@dataclass(frozen=True)
class Simulated:
    """What a simulation wrote."""

    lines: list[bytes]
    truth: dict[str, Any]
    owners: Path

    @property
    def tellings(self) -> list[dict[str, Any]]:
        """Lines that tell a call, in the order of arrival; the bad ones left out by what they carry."""
        found = []
        for line in self.lines:
            try:
                event = json.loads(line)
            except (UnicodeDecodeError, json.JSONDecodeError):
                continue
            if isinstance(event, dict) and not str(event.get("event_id", "-bad")).endswith("-bad"):
                found.append(event)
        return found


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """Return a simulation in which everything that goes wrong goes wrong often enough to be seen."""
    folder = tmp_path_factory.mktemp("simulated")
    plan = Plan(events=6_000, seed=11, shares=Shares(duplicates=50_000, late=30_000, poison=20_000, conflicts=10_000))
    truth = simulate(
        plan, out=folder / "events.jsonl", truth_path=folder / "truth.json", owners_path=folder / "owners.yml"
    )
    assert truth == json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    return Simulated((folder / "events.jsonl").read_bytes().splitlines(), truth, folder / "owners.yml")
