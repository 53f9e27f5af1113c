"""The named steps: what tests of faults can hook is what the product goes through."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tollbook
from tollbook.lake.steps import STEPS, listening, reached

PACKAGE = Path(tollbook.__file__).parent
_REACHED = re.compile(r'(?<![\w.])reached\("(\w+)"\)')


def test_every_named_step_is_reached_by_the_product_and_every_step_reached_has_a_name() -> None:
    """A fault at a step that nobody reaches would be a test that cannot fail."""
    reached_steps = {step for path in PACKAGE.rglob("*.py") for step in _REACHED.findall(path.read_text("utf-8"))}

    assert reached_steps == set(STEPS)


def test_a_listener_hears_of_steps_while_it_listens_and_its_fault_goes_through() -> None:
    """A fault that a test injects must stop the product where the step is."""
    heard: list[str] = []

    def listen(step: str) -> None:
        heard.append(step)
        if step == "file_renamed":
            raise RuntimeError("a fault")

    with listening(listen):
        reached("file_written")
        with pytest.raises(RuntimeError, match="a fault"):
            reached("file_renamed")
    reached("commit_made")

    assert heard == ["file_written", "file_renamed"]
