"""The wheel is whole: what is installed from it works without a checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
MADE_BY_DBT = {"target", "logs", "dbt_packages"}
"""What a plain `dbt build` leaves in its project; hatch would put it into the wheel."""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program and return what it printed; its errors are part of a failure's message."""
    done = subprocess.run(
        [str(each) for each in command], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command} in {cwd}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def uv() -> Path:
    """Return uv: the one that `make` puts into .tools, else the one on PATH."""
    own = ROOT / ".tools" / "bin" / "uv"
    found = str(own) if own.is_file() else shutil.which("uv")
    assert found is not None, "expected uv in .tools/bin or on PATH: run `make test`"
    return Path(found)


@pytest.fixture(scope="module")
def wheel(uv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run(uv, "build", "--wheel", "--quiet", "--python", sys.executable, "--out-dir", folder, cwd=ROOT)
    return next(folder.glob("tollbook-*.whl"))


@pytest.fixture(scope="module")
def installed(uv: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Install the wheel into an environment of its own, and return a function that runs a program of it.

    Its dependencies are those of the synced environment, lent by a .pth file. The editable install in there is not
    lent with them: it is a .pth file too, and Python reads none that lie in a folder named by another.
    """
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "env"
    run(uv, "venv", "--quiet", "--python", sys.executable, environment, cwd=folder)
    python = environment / "bin" / "python"
    run(uv, "pip", "install", "--quiet", "--no-deps", "--python", python, wheel, cwd=folder)
    site_packages = next(environment.glob("lib/python*/site-packages"))
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return lambda program, *arguments: run(environment / "bin" / program, *arguments, cwd=folder)


@pytest.mark.parametrize("name", ["schemas", "dbt_project"])
def test_the_wheel_carries_every_file_of_a_shipped_folder(name: str, wheel: Path) -> None:
    """An installed Tollbook has no checkout beside it to look into."""
    with zipfile.ZipFile(wheel) as archive:
        carried = {
            each.removeprefix(f"tollbook/_{name}/")
            for each in archive.namelist()
            if each.startswith(f"tollbook/_{name}/")
        }
    sources = (each.relative_to(ROOT / name) for each in (ROOT / name).rglob("*") if each.is_file())

    assert carried == {str(each) for each in sources if each.parts[0] not in MADE_BY_DBT}


def test_the_wheel_carries_the_pinned_jars_and_the_licence(wheel: Path) -> None:
    """The list of jars is data, which packaging tools like to leave out."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert "tollbook/broker/kafka-4.4.0-jars.txt" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


def test_the_command_runs_from_the_wheel(installed: Callable[..., str]) -> None:
    """The entry point is written by the installer from the wheel's metadata."""
    assert installed("tollbook", "--version") == f"tollbook {VERSION}\n"


def test_shipped_folders_are_found_in_the_wheel(installed: Callable[..., str]) -> None:
    """The checkout's folders must not be needed, nor found by accident."""
    probe = (
        "from tollbook.contracts import shipped_folder, usage_record_schema; import tollbook.broker.topics as t;"
        "print(shipped_folder('schemas').name, shipped_folder('dbt_project').name);"
        "print(len(usage_record_schema()) > 0, len(t.definitions()))"
    )

    assert installed("python", "-c", probe) == "_schemas _dbt_project\nTrue 4\n"
