"""The small lakes of the warehouse's tests, for tests of the dbt project."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_PATH = Path(__file__).parents[1] / "pipelines" / "warehouse" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("warehouse_lakes", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
_LAKES = importlib.util.module_from_spec(_SPEC)
sys.modules["warehouse_lakes"] = _LAKES
_SPEC.loader.exec_module(_LAKES)

shared_home = _LAKES.shared_home
lake = _LAKES.lake
event = _LAKES.event
