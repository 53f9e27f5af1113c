"""The table of usage fields and the real data, for the tests of usage objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tollbook.formats.usage import Usage, UsageTable, load_table, normalise, read_body

SharedData = Callable[[str], Path]
Read = Callable[[str, dict[str, Any]], Usage]


@pytest.fixture(scope="session")
def table() -> UsageTable:
    """Return the shipped table of usage fields."""
    return load_table()


@pytest.fixture(scope="session")
def read(table: UsageTable) -> Read:
    """Return a function from a flavour's name and a usage object to what it tells."""
    return lambda flavour, usage: normalise(usage, table.flavours[flavour])


@pytest.fixture(scope="session")
def read_response(table: UsageTable) -> Read:
    """Return a function from a flavour's name and a whole response body to what it tells."""
    return lambda flavour, body: read_body(body, table.flavours[flavour])


@pytest.fixture(scope="session")
def shared_data() -> SharedData:
    """Return a function from a name to a file of the real data beside the project; it skips where that is absent."""
    folder = Path(__file__).parents[5] / "shared" / "data"

    def find(name: str) -> Path:
        if not (folder / name).is_file():
            pytest.skip(f"the real data is not on this machine: expected ../shared/data/{name} beside the project")
        return folder / name

    return find
