"""Lines of files."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.errors import MisuseError, TollbookError
from tollbook.senders import lines
from tollbook.senders.lines import open_source, read_lines


class Trickle(io.BytesIO):
    """An input that gives a few bytes at a time, as a pipe does."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(3)


def all_lines(source: lines.SourceFile) -> list[tuple[int, bytes]]:
    """Return each line with its number."""
    return [(number, line) for first, run in read_lines(source, "f") for number, line in enumerate(run, first)]


@given(st.lists(st.binary(max_size=20).filter(lambda text: b"\n" not in text and not text.endswith(b"\r"))))
def test_lines_come_whole_and_numbered_however_the_bytes_arrive(told: list[bytes]) -> None:
    """A line that is cut at the edge of a block would become two bad records."""
    content = b"".join(line + b"\n" for line in told)
    expected = list(enumerate(told, 1))
    assert all_lines(io.BytesIO(content)) == expected
    assert all_lines(Trickle(content)) == expected


def test_the_last_line_may_lack_its_end_and_ends_may_be_of_windows() -> None:
    """Both are common in files that people send; neither changes the record."""
    assert all_lines(io.BytesIO(b"a\r\n\r\nb")) == [(1, b"a"), (2, b""), (3, b"b")]


def test_a_gzip_file_is_read_by_its_name(tmp_path: Path) -> None:
    """Archives of events are kept compressed."""
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(b"a\nb\n"))
    with open_source(str(path)) as source:
        assert all_lines(source) == [(1, b"a"), (2, b"b")]
        assert source.total_bytes == path.stat().st_size


def test_a_gzip_file_that_is_cut_off_gives_its_lines_and_then_says_so(tmp_path: Path) -> None:
    """Half an upload must not pass for a whole one."""
    path = tmp_path / "events.jsonl.gz"
    whole = gzip.compress(b"".join(b"%d\n" % number for number in range(200_000)))
    path.write_bytes(whole[: len(whole) // 2])
    found: list[tuple[int, bytes]] = []
    with open_source(str(path)) as source, pytest.raises(TollbookError, match="whole gzip file"):
        found.extend((number, line) for number, run in read_lines(source, source.name) for line in run)
    assert found[0] == (1, b"0")


def test_an_absent_file_is_misuse() -> None:
    """The command line turns it into exit code 2."""
    with pytest.raises(MisuseError, match="nowhere"):
        open_source("nowhere.jsonl").__enter__()


def test_a_line_without_end_stops_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A binary file that was named by mistake has no line ends."""
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 10)
    with pytest.raises(TollbookError, match=r"f:2: expected a line of at most 10 bytes"):
        all_lines(Trickle(b"a\n" + b"x" * 40))
