"""The command line as a whole: help, exit codes and what goes where."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from tollbook import cli
from tollbook.errors import MisuseError, TollbookError

ROOT = Path(__file__).resolve().parents[2]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, with its words."""
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from commands(child, (*path, name))
        else:
            yield (*path, name), child


EVERY_COMMAND = dict(commands(typer.main.get_command(cli.build_app())))


def run(*arguments: str, program: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `tollbook` in a process of its own, or a program that calls `main` with a noun of its own."""
    command = [sys.executable, "-m", "tollbook"] if program is None else [sys.executable, "-c", program]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300, check=False)


def program(body: str) -> str:
    """Return a program whose only command, `probe`, does what `body` says."""
    return "\n".join(
        [
            "import sys, types, typer, tollbook.cli as cli",
            "from tollbook.errors import TollbookError",
            "def probe() -> None:",
            textwrap.indent(textwrap.dedent(body).strip(), "    "),
            "module = types.ModuleType('tollbook.cli.probe')",
            "module.__spec__ = cli.__spec__",
            "module.register = lambda app: app.command('probe')(probe)",
            "sys.modules['tollbook.cli.probe'] = module",
            "cli.NOUNS = ('probe', 'broker')",
            "sys.exit(cli.main(['probe']))",
        ]
    )


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
def test_every_command_and_option_has_help(words: tuple[str, ...]) -> None:
    """What is not explained is not used, or used wrongly."""
    command = EVERY_COMMAND[words]

    assert command.help
    assert [each.name for each in command.params if not getattr(each, "help", None)] == []


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
def test_every_command_is_in_the_readme(words: tuple[str, ...]) -> None:
    """The README is where people look first."""
    assert f"tollbook {' '.join(words)}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_nothing_heavy_is_imported_before_a_command_needs_it() -> None:
    """Nobody waits for help; one import of Beam, dbt or Great Expectations would cost seconds."""
    heavy = "{'apache_beam', 'dbt', 'duckdb', 'great_expectations', 'kafka', 'pandas', 'plotly', 'pyarrow'}"
    found = run(program=f"import sys, tollbook.cli; tollbook.cli.build_app(); print({heavy} & set(sys.modules))")

    assert found.stdout == "set()\n"


def test_version_is_on_stdout() -> None:
    """Bug reports need it."""
    found = run("--version")

    assert (found.returncode, found.stdout) == (0, f"tollbook {version('tollbook')}\n")


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("broker",), ("broker", "up", "--nonsense")])
def test_misuse_exits_with_two_and_says_how(arguments: tuple[str, ...]) -> None:
    """Schedulers tell a wrong call from a finding by the exit code."""
    found = run(*arguments)

    assert (found.returncode, found.stdout) == (2, "")
    assert "Usage: tollbook" in found.stderr


@pytest.mark.parametrize(("error", "code"), [(TollbookError("one"), 1), (MisuseError("two"), 2)])
def test_an_error_of_ours_is_one_message_and_its_exit_code(
    error: TollbookError, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback hides the sentence that says what to do."""

    def fail() -> None:
        """Fail."""
        raise error

    app = typer.Typer()
    app.callback()(lambda: None)
    app.command()(fail)
    monkeypatch.setattr(cli, "build_app", lambda: app)

    assert cli.main(["fail"]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"tollbook: {error}\n")


def test_a_finding_is_an_exit_code_of_one() -> None:
    """`raise typer.Exit(1)` is how commands tell a finding."""
    assert run(program=program("raise typer.Exit(1)")).returncode == 1


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    """What nobody foresaw cannot be explained in a sentence, and must not look like a finding."""
    found = run(program=program("raise ZeroDivisionError"))

    assert found.returncode == 1
    assert "Traceback" in found.stderr
    assert "ZeroDivisionError" in found.stderr


def test_ctrl_c_ends_with_one_short_line() -> None:
    """Whoever presses Ctrl-C knows what they did; shells want 130."""
    body = """
        print("ready", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", program(body)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=300)

    assert (process.returncode, err) == (130, "tollbook: interrupted\n")


@pytest.mark.parametrize("lines", [1, 100_000], ids=["at the end", "in the middle"])
def test_a_reader_that_leaves_is_no_error(lines: int) -> None:
    """`tollbook sql … | head` must not end in a complaint about a broken pipe."""
    body = f"""
        sys.stdin.read()
        for _ in range({lines}):
            sys.stdout.write("a line of some length, so that buffers fill\\n")
    """
    with subprocess.Popen(
        [sys.executable, "-c", program(body)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()
        err = process.stderr.read()
        process.wait(timeout=300)

    assert (process.returncode, err) == (141, "")


def test_status_of_a_broker_that_never_ran_is_a_finding(tmp_path: Path) -> None:
    """Scripts ask `broker status` before they send; the answer is data, on stdout."""
    found = run("broker", "status", "--json", "--home", str(tmp_path))

    assert found.returncode == 1
    assert found.stderr == ""
    status = json.loads(found.stdout)
    assert (status["running"], status["bootstrap_servers"]) == (False, None)


def test_doctor_prints_what_it_found_as_a_table_and_as_json(tmp_path: Path) -> None:
    """The same findings for people and for scripts."""
    table = run("doctor", "--home", str(tmp_path))
    told = run("doctor", "--home", str(tmp_path), "--json")

    assert (table.returncode, told.returncode) == (0, 0), table.stdout
    assert table.stdout.startswith("check ")
    assert [each["check"] for each in json.loads(told.stdout)] == [
        line.split("  ")[0] for line in table.stdout.splitlines()[1:]
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["meter", "--until-caught-up", "--home", "{file}/below"], "to be a folder"),
        (["warehouse", "build", "--home", "{file}/below"], "to be a folder"),
        (["warehouse", "build", "--home", "{folder}/misspelt"], "expected a lake at"),
        (["meter", "--until-caught-up", "--bootstrap-servers", "host:abc"], "host:port"),
        (["meter"], "expected one of --until-caught-up and --follow"),
    ],
)
def test_misuse_is_one_plain_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    """A typo must not look like success, nor like a fault of the program."""
    (tmp_path / "file").write_text("in the way")
    filled = [each.format(file=tmp_path / "file", folder=tmp_path) for each in arguments]
    assert cli.main(filled) == 2
    told = capsys.readouterr()
    assert expected in told.err
    assert told.out == ""
