"""`tollbook prices check` on files: what is printed where, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tollbook.cli import main
from tollbook.contracts import shipped_folder

MAPPING = shipped_folder("schemas") / "examples" / "price_tables" / "litellm-history.price_table.yml"
PARTS = ("input", "output", "cache_read", "cache_write", "reasoning", "batch_input", "batch_output")
LONG = ("input_above_200k", "output_above_200k", "cache_read_above_200k", "cache_write_above_200k", "cache_write_1h")
HEAD = ",".join(["model", "provider", "observed_by", *(f"{name}_usd_per_mtok" for name in (*PARTS, *LONG)), "event"])


def check(home: Path, *arguments: str) -> int:
    """Run `tollbook prices check` in a home; return the exit code."""
    return main(["prices", "check", *arguments, "--home", str(home)])


def table(folder: Path, *rows: str) -> str:
    """Write a table in the form of the history and return its path."""
    path = folder / "prices.csv"
    path.write_text("\n".join([HEAD, *rows]) + "\n")
    return str(path)


def test_a_table_with_a_slip_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table goes to stdout and the count to stderr, so that both can be used."""
    path = table(tmp_path, "own,acme,2026-01-01,2,8,2.5,,,,,,,,,,new", "ok,acme,2026-01-01,2,8,0.2,,,,,,,,,,new")

    assert check(tmp_path, path, "--mapping", str(MAPPING)) == 1

    printed = capsys.readouterr()
    assert [line.split()[:4] for line in printed.out.splitlines()] == [
        ["severity", "code", "provider", "model"],
        ["error", "cache_read_above_input", "acme", "own"],
    ]
    assert f"{path}: 2 prices checked, 1 error, 0 warnings, 0 notes" in printed.err


def test_json_has_every_fact_of_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads prices as text with every digit."""
    path = table(tmp_path, "own,acme,2026-01-01,2,8,2.5,,,,,,,,,,new", "own,,2026-03-01,,,,,,,,,,,,,removed")

    assert check(tmp_path, path, "--mapping", str(MAPPING), "--json") == 1

    (result,) = json.loads(capsys.readouterr().out)
    (found,) = result["findings"]
    assert found == {
        "code": "cache_read_above_input",
        "severity": "error",
        "provider": "acme",
        "model": "own",
        "service_tier": "default",
        "above_input_tokens": None,
        "unit": "cache_read_tokens",
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_to": "2026-03-01T00:00:00Z",
        "value_usd": "2.5",
        "expected_usd": "2",
        "per": 1_000_000,
        "quantity": None,
        "message": "a cache read (2.5 USD) costs more than input (2 USD)",
    }


def test_a_clean_table_and_an_empty_home_are_well(tmp_path: Path) -> None:
    """A scheduled check is quiet while nothing is wrong."""
    assert check(tmp_path, table(tmp_path, "own,acme,2026-01-01,2,8,0.2,,,,,,,,,,new"), "--mapping", str(MAPPING)) == 0
    assert check(tmp_path) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prices.csv"], "expected --mapping"),
        (["prices.txt"], "expected price files that end in .csv, .yml or .yaml, got prices.txt"),
        (["absent.csv", "--mapping", str(MAPPING)], "expected a file that can be read at absent.csv"),
        (["absent.yml"], "expected a file that can be read at absent.yml"),
    ],
)
def test_what_cannot_be_checked_is_misuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit 2 tells a scheduler that the check itself did not run."""
    assert check(tmp_path, *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", [["prices", "load"], ["reference", "load"], ["reference", "check"]], ids=" ".join)
def test_a_file_that_cannot_be_read_is_misuse_of_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """`prices check` said 2 and `prices load` 1: a script could not tell a typing error from a wrong price."""
    home = [] if command[-1] == "check" else ["--home", str(tmp_path)]
    assert main([*command, str(tmp_path / "absent.yml"), *home]) == 2
    assert f"expected a file that can be read at {tmp_path / 'absent.yml'}" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["load", "check"])
@pytest.mark.parametrize(
    ("content", "kind"), [("contract: 1\n", "a contract"), ("exchange_rates: 1\n", "exchange rates")]
)
def test_whoever_loads_a_contract_as_prices_is_told_the_right_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, content: str, kind: str
) -> None:
    """A list of twenty keys that no overlay has does not say that the file is right and the command is not."""
    path = tmp_path / "acme.yml"
    path.write_text(content)

    assert main(["prices", command, str(path), "--home", str(tmp_path)]) == 1

    told = capsys.readouterr().err
    assert f"expected a price overlay at {path}; this is {kind}: use `tollbook reference load`" in told


def test_without_usage_the_check_of_every_price_is_suggested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new home was told '0 prices checked', as if there were nothing to look at."""
    assert check(tmp_path) == 0
    assert "or check the whole price list with --all" in capsys.readouterr().err
