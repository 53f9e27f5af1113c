"""Upgrade: a lake of the first version becomes one of this version, whole or not at all."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from tollbook.cli import main
from tollbook.errors import CorruptManifestError, LakeFormatError, LakeLockedError, MisuseError
from tollbook.lake.lock import writer_lock
from tollbook.lake.manifest import FORMAT_VERSION, newest
from tollbook.lake.snapshot import load_snapshot
from tollbook.lake.upgrade import upgrade

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "lake_v1"
NOW = datetime(2026, 9, 8, tzinfo=UTC)
YEARS_LATER = datetime(2030, 1, 1, tzinfo=UTC)
# Of four commits 17 files of usage, 9 by minute, 7 of rejects, 5 unparsed; 3 ratings, 1 of charges, 3 price catalogues.
FILES = 17 + 9 + 7 + 5 + 3 + 1 + 3
NEWEST_USAGE = "usage/event_date=2026-09-01/llm.usage.golden_v1-0-00000000000000000180-00000000000000000268-e2.parquet"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home with a lake of the first version."""
    shutil.copytree(GOLDEN / "home", tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def lake(home: Path) -> Path:
    """Return a lake of the first version."""
    return home / "lake"


def _content(lake: Path) -> dict[str, bytes]:
    """Return what lies in a lake, the locks left out."""
    files = (path for path in lake.rglob("*") if path.is_file() and not path.name.endswith("lock"))
    return {path.relative_to(lake).as_posix(): path.read_bytes() for path in files}


def test_an_upgrade_adds_a_checkpoint_and_leaves_all_else_as_it_was(lake: Path) -> None:
    """Data are never written anew, so an upgrade of years of usage takes no longer than a look at its names."""
    before = _content(lake)
    done = upgrade(lake, now=NOW)
    assert (done.found_version, done.version, done.commit, done.epoch) == (1, FORMAT_VERSION, 4, 2)
    assert (done.files, done.damages) == (FILES, ())
    after = _content(lake)
    assert set(after) - set(before) == {"checkpoints/00000000000000000004.json", "checkpoints/begun"} & set(after)
    assert {name: after[name] for name in before} == before


def test_a_second_upgrade_does_nothing(lake: Path) -> None:
    """Who is not sure whether it was done does it again."""
    upgrade(lake, now=NOW)
    before = _content(lake)
    done = upgrade(lake, now=YEARS_LATER)
    assert (done.found_version, done.version) == (FORMAT_VERSION, FORMAT_VERSION)
    assert "nothing was to do" in done.sentence()
    assert _content(lake) == before


def test_the_upgraded_lake_opens_by_its_checkpoint_alone(lake: Path) -> None:
    """The checkpoint says all that the manifests did: without them the lake is the same."""
    told = load_snapshot(lake)
    upgrade(lake, now=NOW)
    for manifest in sorted((lake / "commits").glob("*.json"))[:-1]:
        manifest.unlink()
    assert load_snapshot(lake) == told


@pytest.mark.parametrize("step", ["entry_written", "entry_linked"])
def test_an_upgrade_that_was_killed_is_done_again(lake: Path, step: str) -> None:
    """Kill -9 before or after the checkpoint has its name leaves a lake that opens, and no file of its own."""
    told = load_snapshot(lake)
    program = f"""
import os, signal
from datetime import UTC, datetime
from pathlib import Path
from tollbook.lake.steps import listening
from tollbook.lake.upgrade import upgrade
def killed(step):
    if step == {step!r}:
        os.kill(os.getpid(), signal.SIGKILL)
with listening(killed):
    upgrade(Path({str(lake)!r}), now=datetime(2026, 9, 8, tzinfo=UTC))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert load_snapshot(lake) == told
    assert upgrade(lake, now=NOW).version == FORMAT_VERSION
    assert load_snapshot(lake) == told
    assert not list(lake.rglob("*.tmp"))


def test_a_dry_run_looks_and_writes_nothing(lake: Path) -> None:
    """It is for those who want to know first, and leaves no lock either."""
    names = sorted(path.as_posix() for path in lake.rglob("*"))
    done = upgrade(lake, now=NOW, dry_run=True)
    assert (done.found_version, done.version, done.files, done.damages) == (1, 1, FILES, ())
    assert "nothing was written" in done.sentence()
    assert sorted(path.as_posix() for path in lake.rglob("*")) == names


def test_what_is_absent_or_cut_off_is_listed_and_nothing_is_written(lake: Path) -> None:
    """A backup that is not whole must not become the book."""
    price = next((lake / "reference" / "prices" / "versions").glob("*contracts*"))
    (lake / NEWEST_USAGE).unlink()
    price.write_bytes(price.read_bytes()[:-1])
    before = _content(lake)
    done = upgrade(lake, now=NOW)
    size = (GOLDEN / "home" / "lake" / NEWEST_USAGE).stat().st_size
    told = price.stat().st_size + 1
    assert [str(each) for each in done.damages] == [
        f"{price.relative_to(lake).as_posix()}: entry 2 of reference/prices tells {told:,} bytes, it has {told - 1:,}",
        f"{NEWEST_USAGE}: commit 4 tells {size:,} bytes, it is absent",
    ]
    assert (done.found_version, done.version) == (1, 1)
    assert _content(lake) == before


def test_unparsed_bytes_may_be_absent_once_they_are_too_old_to_be_kept(lake: Path) -> None:
    """They are deleted after 14 days: those of 2026-09-03 on 2026-09-17, and until then they must be there."""
    shutil.rmtree(lake / "unparsed" / "ingest_date=2026-09-03")
    day_before = datetime(2026, 9, 16, 23, 59, tzinfo=UTC)
    assert {each.path.split("/")[1] for each in upgrade(lake, now=day_before, dry_run=True).damages} == {
        "ingest_date=2026-09-03"
    }
    # The three files of that day are left out of the count, and two of another day are not.
    done = upgrade(lake, now=datetime(2026, 9, 17, tzinfo=UTC), dry_run=True)
    assert (done.files, done.damages) == (FILES - 3, ())


def test_a_lake_of_a_later_version_is_refused(lake: Path) -> None:
    """What a later version meant is not known here, and a guess would be charged to someone."""
    last = newest(lake)
    assert last is not None
    later = msgspec.structs.replace(last, commit=5, format_version=FORMAT_VERSION + 1)
    (lake / "commits" / "00000000000000000005.json").write_bytes(msgspec.json.encode(later))
    with pytest.raises(
        LakeFormatError, match=f"expected the lake .* {FORMAT_VERSION} or older, got {FORMAT_VERSION + 1}"
    ):
        upgrade(lake, now=NOW)


def test_an_upgrade_waits_for_no_meter(lake: Path) -> None:
    """A meter of an older version that goes on would not know what the upgrade did: it is stopped first."""
    with writer_lock(lake), pytest.raises(LakeLockedError, match="stop it first"):
        upgrade(lake, now=NOW)


def test_a_checkpoint_of_a_commit_that_is_not_there_is_refused(lake: Path) -> None:
    """A copy may hold a checkpoint of later manifests than it holds: it would be believed when its number comes."""
    upgrade(lake, now=NOW)
    for number in (3, 4):
        (lake / "commits" / f"{number:020d}.json").unlink()
    with pytest.raises(CorruptManifestError, match=r"expected manifests up to 4 in .*, but the newest is 2"):
        upgrade(lake, now=NOW)
    (lake / "checkpoints" / f"{4:020d}.json").unlink()
    assert upgrade(lake, now=NOW).commit == 2


@pytest.mark.parametrize("log", ["commits", "ratings/commits", "charges/commits", "reference/prices/commits"])
def test_a_log_without_its_entries_is_refused(lake: Path, log: str) -> None:
    """Data without the log that names them are not an empty table: something was not restored."""
    for entry in (lake / log).glob("*.json"):
        entry.unlink()
    with pytest.raises(CorruptManifestError, match=f"in .*{log}, found none: restore them first"):
        upgrade(lake, now=NOW)


def test_a_log_with_a_hole_is_refused(lake: Path) -> None:
    """Files of a commit that nothing tells of would be missing from the book, and no file would seem absent."""
    (lake / "commits" / f"{3:020d}.json").unlink()
    with pytest.raises(CorruptManifestError, match=r"expected commit 3 at .*, found nothing"):
        upgrade(lake, now=NOW)


def test_a_lake_without_commits_has_nothing_to_upgrade(tmp_path: Path) -> None:
    """A home that was never metered is of every version."""
    (tmp_path / "lake").mkdir()
    done = upgrade(tmp_path / "lake", now=NOW)
    assert (done.commit, done.files, done.version) == (0, 0, FORMAT_VERSION)
    assert "nothing to upgrade" in done.sentence()


def test_a_folder_that_is_no_home_is_misuse(tmp_path: Path) -> None:
    """A misspelt home must not be made."""
    with pytest.raises(MisuseError, match=r"expected a lake at .*lake, found none"):
        upgrade(tmp_path / "lake", now=NOW)
    assert main(["upgrade", "--home", str(tmp_path)]) == 2


def test_the_command_tells_in_words_and_as_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts read stdout and the exit code, people read stderr."""
    assert main(["upgrade", "--home", str(home), "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["found_version"], told["version"], told["commit"], told["damages"]) == (1, FORMAT_VERSION, 4, [])
    assert f"was of format 1 and is of format {FORMAT_VERSION} now" in err
    assert main(["upgrade", "--home", str(home)]) == 0
    assert "nothing was to do" in capsys.readouterr().err


def test_the_command_exits_1_with_a_list_of_what_is_missing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script that restores must stop here."""
    (home / "lake" / NEWEST_USAGE).unlink()
    assert main(["upgrade", "--home", str(home)]) == 1
    out, err = capsys.readouterr()
    (line,) = out.splitlines()[1:]
    assert line.split()[0] == NEWEST_USAGE
    assert "1 of " in err
    assert "nothing was written" in err
