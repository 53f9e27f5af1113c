"""How a scenario is asked for: parameters that are refused, and the command's files and lists."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tollbook.cli import build_app
from tollbook.errors import MisuseError
from tollbook.simulate.scenarios.catalogue import SCENARIOS, choose


@pytest.mark.parametrize(
    ("name", "assignments", "message"),
    [
        ("nothing", [], "expected a scenario in --scenario, got 'nothing'; there are:\n  price-fall: "),
        ("margin", ["points"], "expected --set as name=value, got 'points'"),
        (
            "margin",
            ["point=1"],
            r"of margin in --set, got 'point'; there are:\n  revenue_usd: 1 to 1000000000, .* 50000",
        ),
        ("margin", ["customers=1", "customers=2"], "expected --set customers once"),
        ("margin", ["customers=1.5"], r"--set customers from 0 to 1000, whole numbers \(default 5\), got '1.5'"),
        ("margin", ["points_after=-1"], "got '-1'"),
        ("margin", ["points_after=1e9"], "got '1e9'"),
        ("margin", ["points_after=nan"], "got 'nan'"),
        ("margin", ["revenue_usd=abc"], "got 'abc'"),
    ],
)
def test_what_is_no_parameter_is_refused_with_what_there_is(name: str, assignments: list[str], message: str) -> None:
    """Whoever misspells one must not get the published case instead."""
    with pytest.raises(MisuseError, match=message):
        choose(name, assignments)


@pytest.mark.parametrize(
    ("name", "assignments", "plan", "message"),
    [
        ("agent-tokens", ["agent_tokens_most=40000"], {}, "agent_tokens_most of agent_tokens_least, 50000, or more"),
        ("agent-tokens", ["agent_tokens_least=19"], {}, "agent_tokens_least of agent_calls, 20, or more, got 19"),
        ("agent-tokens", ["agent_calls=2"], {}, "helpers below agent_calls, 2, got 2"),
        ("margin", ["revenue_usd=1", "customers=101"], {}, "a cent for each of 101 customers, got 100 cents"),
        # A dollar buys a million tokens, so 1,001 USD are too many for one call, and 3,000.03 for three.
        ("hidden-cost", ["generation_usd=1001", "tasks=1"], {}, "tasks of 2 or more with these costs, .* got 1"),
        (
            "hidden-cost",
            ["generation_usd=1000.01", "aborted_percent=300", "tasks=3"],
            {},
            "tasks of 4 or more with these costs, .* 1,000,000,000 tokens, got 3",
        ),
        ("flat-plan", ["multiple=100000", "call_usd=1"], {}, "at most 5,000,000 calls, got some"),
        ("price-fall", [], {"months": 1}, "--months of 2 or more with --scenario price-fall, got 1"),
        ("price-fall", [], {"start": "2026-08-02"}, "--start on the first of a month with --scenario"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused_before_anything_is_written(
    tmp_path: Path, name: str, assignments: list[str], plan: dict[str, Any], message: str
) -> None:
    """The message names what was expected of which."""
    options = [text for each in assignments for text in ("--set", each)]
    options += [text for key, value in plan.items() for text in (f"--{key}", str(value))]
    with pytest.raises(MisuseError, match=message):
        command(tmp_path, "--scenario", name, *options)
    assert list(tmp_path.iterdir()) == []


def command(folder: Path, *arguments: str) -> str:
    """Return what `tollbook simulate` prints."""
    files = ("--out", str(folder / "e.jsonl"), "--truth", str(folder / "t.json"))
    ran = CliRunner().invoke(build_app(), ["simulate", *files, *arguments], catch_exceptions=False)
    assert ran.exit_code == 0
    return ran.stdout


def test_the_command_sets_parameters_and_writes_every_file(tmp_path: Path) -> None:
    """One option writes what a book must load, and the truth repeats what was set."""
    told = command(
        tmp_path,
        *("--scenario", "margin", "--set", "points_after=4", "--set", "customers=0", "--set", "call_usd=500"),
        *("--reference", str(tmp_path / "reference"), "--owners", str(tmp_path / "owners.yml"), "--json"),
    )

    truth = json.loads(told)
    assert truth == json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert truth["scenario"]["name"] == "margin"
    assert (
        truth["scenario"]["parameters"] | {"points_after": "4", "customers": "0", "call_usd": "500"}
        == (truth["scenario"]["parameters"])
    )
    # Four points of 50,000 USD in calls of 500.
    assert truth["events"] == 4
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.yml")}
    assert files == {
        "owners.yml",
        "reference/owners.yml",
        "reference/product_revenue.yml",
        "reference/prices/scenario-margin.yml",
    }
    assert "points_lost_change" in command(tmp_path, "--scenario", "margin")


def test_the_command_lists_scenarios_with_defaults_and_ranges(tmp_path: Path) -> None:
    """A reader finds every parameter without the source."""
    shown = command(tmp_path, "--scenario", "list")
    listed = json.loads(command(tmp_path, "--scenario", "list", "--json"))
    assert [each["name"] for each in listed] == list(SCENARIOS)
    for each in listed:
        assert each["summary"] in shown
        for parameter in each["parameters"]:
            assert parameter["name"] in shown
            assert Decimal(parameter["least"]) <= Decimal(parameter["default"]) <= Decimal(parameter["most"])
    for arguments, message in (
        (["--set", "a=1"], "expected --scenario beside --set, got --set a=1 alone"),
        ([], "expected --events, or --scenario, got neither"),
    ):
        with pytest.raises(MisuseError, match=message):
            command(tmp_path, *arguments)
    with pytest.raises(MisuseError, match="expected --out and --truth, got no --out"):
        CliRunner().invoke(build_app(), ["simulate", "--scenario", "margin"], catch_exceptions=False)
