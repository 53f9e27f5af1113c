"""Lines of files that others write, cut off, rename and replace: each line is found, none twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollbook.errors import TollbookError
from tollbook.watch import lines
from tollbook.watch.lines import NewLines, files_below, new_lines
from tollbook.watch.position import Position, Positions


def read(path: Path, position: Position | None = None) -> tuple[list[bytes], Position | None, list[NewLines]]:
    """Return what is new in a file, and how far it was read."""
    runs = list(new_lines(path, position))
    found = [line for run in runs for line in run.lines]
    return found, runs[-1].position if runs else position, runs


def test_a_line_that_is_still_written_waits_for_its_end(tmp_path: Path) -> None:
    """Half a line is no JSON, and passing it over would lose a call."""
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"one\ntwo\r\nthr")
    found, position, runs = read(path)
    assert found == [b"one", b"two"]
    assert runs[0].offsets == [0, 4]
    assert position is not None
    assert position.offset == 9
    assert read(path, position)[0] == []
    with path.open("ab") as file:
        file.write(b"ee\n")
    assert read(path, position)[0] == [b"three"]


def test_a_file_that_was_cut_off_or_rewritten_is_read_from_its_beginning(tmp_path: Path) -> None:
    """The position points into other bytes, even where the file has grown past it again."""
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"one\ntwo\n")
    _, position, _ = read(path)
    path.write_bytes(b"new\n")
    found, _, runs = read(path, position)
    assert (found, runs[0].started_again) == ([b"new"], True)
    path.write_bytes(b"other\nlines\nthan before\n")
    found, _, runs = read(path, position)
    assert (found, runs[0].started_again) == ([b"other", b"lines", b"than before"], True)


def test_a_renamed_file_goes_on_and_what_takes_its_name_begins(tmp_path: Path) -> None:
    """A rotated file is known by its inode."""
    path, rotated = tmp_path / "s.jsonl", tmp_path / "s.1.jsonl"
    path.write_bytes(b"one\n")
    positions = Positions(tmp_path / "state.json")
    _, position, _ = read(path)
    assert position is not None
    positions.advance([position])
    path.rename(rotated)
    path.write_bytes(b"two\n")
    with rotated.open("ab") as file:
        file.write(b"late\n")
    assert read(rotated, positions.of(rotated.stat()))[0] == [b"late"]
    assert read(path, positions.of(path.stat()))[0] == [b"two"]


def test_a_line_that_is_too_long_is_passed_over_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, its neighbours are read, and it is said that it was passed over."""
    monkeypatch.setattr(lines, "BLOCK_BYTES", 8)
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 16)
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"one\n" + b"x" * 50)
    found, position, runs = read(path)
    assert (found, sum(run.too_long for run in runs)) == ([b"one"], 1)
    assert position is not None
    assert position.skipping
    with path.open("ab") as file:
        file.write(b"x" * 20 + b"\ntwo\n")
    found, position, runs = read(path, position)
    assert (found, sum(run.too_long for run in runs)) == ([b"two"], 0)
    assert position is not None
    assert not position.skipping


def test_files_in_folders_below_are_found_and_others_left_alone(tmp_path: Path) -> None:
    """A subagent's file lies two folders deeper."""
    names = ["p/s.jsonl", "p/s/subagents/agent-1.jsonl", "p/sessions-index.json", "a.jsonl"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [str(path.relative_to(tmp_path)) for path in files_below(tmp_path)] == [names[3], names[0], names[1]]
    assert list(new_lines(tmp_path / "gone.jsonl", None)) == []


def test_positions_outlive_the_process_and_a_write_that_broke_off(tmp_path: Path) -> None:
    """The state is replaced whole; half of a new one is never read."""
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"one\n")
    _, position, _ = read(path)
    assert position is not None
    state = tmp_path / "state.json"
    Positions(state).advance([position])
    (tmp_path / ".state.json.tmp").write_bytes(b'{"watch": 1, "files": [')
    assert Positions(state).of(path.stat()) == position
    state.write_bytes(b"{")
    with pytest.raises(TollbookError, match=r"expected .* to say how far files were sent"):
        Positions(state)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.binary(max_size=12), max_size=12), st.integers(1, 9))
def test_however_a_file_grows_each_line_is_found_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, appended: list[bytes], block_bytes: int
) -> None:
    """Reading goes on from any state of the file, in blocks of any size."""
    path = tmp_path_factory.mktemp("grows") / "s.jsonl"
    path.write_bytes(b"")
    position, found = None, []
    before = lines.BLOCK_BYTES
    lines.BLOCK_BYTES = block_bytes
    try:
        for piece in appended:
            with path.open("ab") as file:
                file.write(piece)
            more, position, _ = read(path, position)
            found += more
    finally:
        lines.BLOCK_BYTES = before
    whole = b"".join(appended).split(b"\n")[:-1]
    assert found == [line.removesuffix(b"\r") for line in whole]
    assert os.path.getsize(path) == sum(map(len, appended))  # noqa: PTH202 # the file is as it was
