"""What workloads would cost on each path of inference, read from the published file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollbook.closing.closes import first_day
from tollbook.errors import MisuseError
from tollbook.insight.plan_use import chosen_period
from tollbook.settings import Settings
from tollbook.trace.literals import bound
from tollbook.warehouse.query import ask_each

_PERIODS: Final = """
    select billing_period_start, bool_or(calls > 0) from insight.fct_unit_cost_paths group by all order by all
"""
_ROWS: Final = """
    select * exclude (billing_period_start, billing_period_end, inputs_version)
    from insight.fct_unit_cost_paths
    where billing_period_start = ? and (? is null or workload = ?)
    order by
        max(workload_cost) over (partition by workload) desc nulls last,
        workload,
        list_position(['model_api', 'hyperscaler', 'neo_cloud', 'on_prem', 'unknown'], inference_path)
"""


def read_paths(
    settings: Settings, *, period: str | None = None, workload: str | None = None
) -> tuple[str, Sequence[Mapping[str, Any]]]:
    """Return a billing period and its rows of `insight.fct_unit_cost_paths`: the dearest workload first.

    Args:
        settings: Where the book lives.
        period: The period, `YYYY-MM`; by default the newest that has usage.
        workload: The workload alone.

    Raises:
        MisuseError: There is no such period or workload.
        NothingPublishedError: There is no published file yet.
        QueryError: The published file was made by a version that did not know paths.
    """
    chosen = chosen_period(settings, _PERIODS, period, "of workloads")
    (answer,) = ask_each(settings, [bound(_ROWS, (first_day(chosen), workload, workload))])
    if workload is not None and not answer.rows:
        raise MisuseError(f"expected a workload with usage in {chosen}, got {workload!r}")
    return chosen, answer.as_records()
