"""The example of a secured Kafka's environment is one that Tollbook reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tollbook import settings
from tollbook.connection.security import PREFIX, KafkaSecurity
from tollbook.settings import Settings

FOLDER = Path(__file__).parents[2] / "infra" / "kafka"


def _blocks() -> list[dict[str, str]]:
    """Return the variables of each block of `tollbook.env`: as it is, and with the other block in its place."""
    text = (FOLDER / "tollbook.env").read_text(encoding="utf-8")
    by_password = dict(re.findall(r"^(TOLLBOOK_\w+)=(.+)$", text, re.MULTILINE))
    by_certificate = dict(re.findall(r"^# (TOLLBOOK_\w+)=(.+)$", text, re.MULTILINE))
    return [by_password, by_certificate]


def _loaded(block: dict[str, str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> KafkaSecurity:
    """Return the settings that a block makes, its files laid into `folder`."""
    for name, value in block.items():
        if value.startswith("/"):
            file = folder / value.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("secret", encoding="utf-8")
            value = str(file)
        monkeypatch.setenv(name, value)
    return Settings.load(home=folder).kafka_security


@pytest.mark.parametrize(("index", "protocol"), [(0, "SASL_SSL"), (1, "SSL")])
def test_each_block_of_the_example_is_whole(
    index: int, protocol: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who copies it and puts in the own names must not meet a fault of ours."""
    security = _loaded(_blocks()[index], monkeypatch, tmp_path)

    assert security.protocol == protocol
    assert security.sasl is (security.sasl_password is not None)
    assert security.sasl is (security.ssl_certfile is None)


def test_the_table_has_every_variable_and_no_other() -> None:
    """A variable that the table misspells would be left aside in silence."""
    table = (FOLDER / "README.md").read_text(encoding="utf-8").partition("## Topics")[0]
    documented = {name for row in re.findall(r"^\| (`[A-Z`_ or]+) \|", table, re.MULTILINE) for name in row.split("`")}
    source = Path(settings.__file__).read_text(encoding="utf-8")
    read = set(re.findall(r"\{PREFIX\}([A-Z_]+)\"", source))
    secrets = {name for name in read if name.endswith("PASSWORD")}

    assert PREFIX == "TOLLBOOK_KAFKA_"
    assert {name for name in documented if name.isupper()} == read | {f"{name}_FILE" for name in secrets}
