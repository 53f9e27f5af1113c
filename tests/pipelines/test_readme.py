"""What the README tells people to write and to run works as it stands there."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
import yaml

from tollbook.errors import QueryError
from tollbook.formats.native import NativeDecoder
from tollbook.reference.owners import read_owners
from tollbook.senders.lines import open_source
from tollbook.senders.mapping import load_mapping
from tollbook.senders.rows import mapped_records
from tollbook.warehouse.query import ask

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def blocks(language: str, beginning: str = "") -> list[str]:
    """Return the README's examples in a language that begin so."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for of, text in found if of == language and text.startswith(beginning)]


def test_the_example_event_is_accepted_as_it_stands() -> None:
    """People begin by copying it."""
    (example,) = blocks("json")
    decoded = NativeDecoder().decode(pa.array([json.dumps(json.loads(example)).encode()], pa.binary()), now=NOW)

    assert (decoded.events.num_rows, len(decoded.rejected), decoded.unknown_fields) == (1, 0, {})


def test_the_example_owner_rules_can_be_loaded(tmp_path: Path) -> None:
    """And they own the example event's workflow."""
    (example,) = blocks("yaml", "order:")
    path = tmp_path / "owners.yml"
    path.write_text(example, encoding="utf-8")

    (rule,) = read_owners(path).rules
    assert (rule.value, rule.team) == (json.loads(blocks("json")[0])["workflow"], "customer-care")


def test_the_example_mapping_makes_an_event_of_a_row(tmp_path: Path) -> None:
    """A file with the columns that it names goes through."""
    (example,) = blocks("yaml", "mapping:")
    mapping = tmp_path / "gateway.yml"
    mapping.write_text(example, encoding="utf-8")
    columns = [value["column"] for value in yaml.safe_load(example)["fields"].values() if "column" in value]
    row = ["r-1", "2026-06-01T09:30:00Z", "openai", "gpt-5", "search", "100", "40", "7"]
    assert len(columns) == len(row)
    table = tmp_path / "usage.csv"
    table.write_text(f"{','.join(columns)}\n{','.join(row)}\n", encoding="utf-8")

    with open_source(str(table)) as source:
        runs = list(mapped_records(source, load_mapping(mapping), lambda line, error: pytest.fail(f"{line}: {error}")))
    (value,) = [value for records, _ in runs for value in records.values]
    decoded = NativeDecoder().decode(pa.array([value], pa.binary()), now=NOW)
    assert (decoded.events.num_rows, len(decoded.rejected)) == (1, 0)


def test_the_example_queries_can_be_asked(two_months: Book) -> None:
    """Of a file in the shape that the marts' contracts give."""
    settings = two_months.publish()
    queries = re.findall(r'tollbook sql "([^"]+)"', README)

    assert len(queries) >= 4
    for query in queries:
        ask(settings, query)
    with pytest.raises(QueryError):
        ask(settings, "select nothing from nowhere")


def test_what_the_readme_links_to_is_there() -> None:
    """A dead link is the first thing that a newcomer meets."""
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert targets
    assert [target for target in targets if not target.startswith("https://") and not (ROOT / target).exists()] == []


def test_each_room_of_the_package_is_in_the_tree() -> None:
    """Any step's room is found from its name, and no name stands for a room that is not there."""
    (tree,) = blocks("", "pipelines/tollbook/")
    told = set(re.findall(r"^  (\w+)/ ", tree, re.MULTILINE))
    rooms = {path.parent.name for path in (ROOT / "pipelines" / "tollbook").glob("*/__init__.py")}

    assert told == rooms
    assert [name for name in re.findall(r"^(\S+?)/? ", tree, re.MULTILINE) if not (ROOT / name).exists()] == []
