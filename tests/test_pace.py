"""The suite itself: its longest files come first, and what fails is named at once."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def run(folder: Path, *options: str) -> list[str]:
    """Run the tests of a folder under this suite's own conftest.py and return the lines that were printed."""
    shutil.copy(TESTS / "conftest.py", folder / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "--import-mode=importlib", "-p", "no:cacheprovider", *options, "."]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    return told.stdout.splitlines()


def test_a_failure_is_named_before_the_session_ends(tmp_path: Path) -> None:
    """A run that is cut off has said what failed: here the whole process dies in the next test."""
    (tmp_path / "test_cut_off.py").write_text(
        "import os\n"
        "def test_that_fails():\n    assert 'came' == 'expected'\n"
        "def test_that_ends_the_run():\n    os._exit(3)\n"
    )

    lines = run(tmp_path)

    assert "FAILED test_cut_off.py::test_that_fails (call)" in lines
    assert any("assert 'came' == 'expected'" in line for line in lines)


def test_a_failure_in_a_worker_is_named_by_the_session(tmp_path: Path) -> None:
    """`make test` runs in two workers, whose own output nobody sees."""
    (tmp_path / "test_worker.py").write_text("def test_that_fails():\n    assert 'came' == 'expected'\n")

    lines = run(tmp_path, "--numprocesses", "1")

    assert "FAILED test_worker.py::test_that_fails (call)" in lines


def test_the_longest_files_come_first(tmp_path: Path) -> None:
    """Two workers end together only when neither begins a long file last."""
    (tmp_path / "pipelines" / "flink").mkdir(parents=True)
    for name in ("test_first_by_name.py", "pipelines/flink/test_recovery.py"):
        (tmp_path / name).write_text("def test_it():\n    pass\n")

    lines = run(tmp_path, "--collect-only", "--quiet")

    assert lines[:2] == ["pipelines/flink/test_recovery.py::test_it", "test_first_by_name.py::test_it"]


def test_files_that_share_a_costly_fixture_go_to_one_worker(tmp_path: Path) -> None:
    """Each worker would make it for itself: four months of a worked book, a cluster of Flink."""
    told = tmp_path / "told"
    told.mkdir()
    for name in ("worked_example/test_a.py", "worked_example/test_b.py", "test_c.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        said = f"Path({str(told / path.stem)!r}).write_text(os.environ['PYTEST_XDIST_WORKER'])"
        path.write_text(f"import os\nfrom pathlib import Path\ndef test_it():\n    {said}\n")

    run(tmp_path, "--numprocesses", "2", "--dist", "loadfile", "--no-loadscope-reorder")

    workers = {path.name: path.read_text() for path in told.iterdir()}
    assert workers["test_a"] == workers["test_b"] != workers["test_c"]


def test_every_file_that_is_called_long_is_there() -> None:
    """A file that was renamed would lose its place without a word."""
    listed = (TESTS / "conftest.py").read_text("utf-8").split("LONGEST_FIRST = (")[1].split(")")[0]
    named = re.findall(r'"([^"]+)"', listed)

    assert named
    for name in named:
        assert (TESTS / name).is_file(), name


def test_every_file_that_goes_with_others_is_there() -> None:
    """A folder that was renamed would be made twice without a word."""
    listed = (TESTS / "conftest.py").read_text("utf-8").split("TOGETHER = (")[1].split("\n)\n")[0]
    named = re.findall(r'"([^"]+)"', listed)

    assert named
    for name in named:
        assert (TESTS / name).exists(), name


def test_no_test_gives_up_on_a_process_within_minutes() -> None:
    """A wait ends when what it waits for is there, so patience costs nothing; a busy machine costs those without."""
    short = {
        f"{path.relative_to(TESTS)}: timeout={seconds}"
        for path in TESTS.rglob("*.py")
        if "bench" not in path.parts
        for seconds in re.findall(r"\btimeout=(\d+)\b", path.read_text("utf-8"))
        if int(seconds) < 300
    }

    assert short == set()


def test_no_property_fails_since_the_machine_is_slow() -> None:
    """Settings of a test's own take the place of the suite's, also where they only mean to let a fixture be shared."""
    strict = [
        f"{path.relative_to(TESTS)}: {found}"
        for path in TESTS.rglob("test_*.py")
        for found in re.findall(r"suppress_health_check=(\[[^\]]*\])", path.read_text("utf-8"))
        if path != Path(__file__) and "too_slow" not in found
    ]

    assert strict == []
