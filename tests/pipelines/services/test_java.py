"""A Java is found that can run what is written in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollbook.services import java


def put_java(folder: Path, *, says: str, exit_code: int = 0) -> Path:
    """Make a `java` that prints a version as the real ones do, on stderr."""
    path = folder / "java"
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {exit_code}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("says", ['openjdk version "17.0.15" 2025-04-15', 'java version "21" 2023-09-19 LTS'])
def test_a_java_on_path_that_is_new_enough_is_used(says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Organisations keep their own Java patched."""
    path = put_java(tmp_path, says=says)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = java.find_java()

    assert (found.path, found.bundled) == (path, False)


@pytest.mark.parametrize(
    ("says", "exit_code"),
    [
        ('openjdk version "1.8.0_292"', 0),
        ('openjdk version "11.0.2" 2019-01-15', 0),
        ("The operation could not be completed. Unable to locate a Java Runtime.", 1),
    ],
)
def test_a_java_that_cannot_run_kafka_is_passed_over(
    says: str, exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka 4 ends with a class version error on Java 8 and 11, and the `java` of a bare macOS is no Java."""
    put_java(tmp_path, says=says, exit_code=exit_code)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = java.find_java()

    assert found.bundled
    assert found.major >= java.MINIMUM_MAJOR
    assert found.path.is_file()


def test_no_java_at_all_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel brings one."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert java.java_on_path() is None
    assert java.find_java().bundled
