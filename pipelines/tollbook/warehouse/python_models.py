"""What Python models of dbt need: where the book lives, and an end to what dbt-duckdb leaves open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tollbook.settings import Settings

_LEDGER: Final = "select path from duckdb_databases() where database_name = 'ledger'"


@contextmanager
def python_model(session: Any) -> Iterator[Settings]:
    """Yield the settings of the home that a build's DuckDB connection belongs to.

    At the end the event loop is closed that dbt-duckdb makes for the thread of a Python model and leaves open; none
    runs in it.
    """
    try:
        ledger = Path(session.execute(_LEDGER).fetchall()[0][0]).absolute()
        yield Settings(home=ledger.parent.parent)
    finally:
        if threading.current_thread() is not threading.main_thread():
            asyncio.get_event_loop().close()
            asyncio.set_event_loop(None)
