"""`tollbook insight paths`: where inference should run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Annotated, Any, Final

import typer

from tollbook.cli.options import Home, Json, print_json, print_table, progress
from tollbook.settings import Settings

_HEADINGS: Final = (
    *("workload", "path", "USD", "USD per 1M", "USD per task", "by", "instances", "used %"),
    *("pays from tokens", "pays from used %", "why not"),
)
_CAVEATS: Final = {
    "another_model": "another model would serve it: whether it is as good is not compared",
    "full_load_benchmark": "throughput is that of a benchmark in batches at full load, which production does not reach",
    "estimated_throughput": "throughput is an estimate",
    "prompts_not_counted": "throughput is of output alone: longer prompts than those that were measured cost more",
    "beyond_the_fleet": "more instances are needed than the fleet has",
    "price_over_a_year_old": "the price was read more than a year before",
    "unpriced_tokens": "some tokens have no known price and are taken to cost as the others do",
    "path_not_told": "calls that tell no path and have a price count as bought from a model API",
    "part_of_the_period": "usage is of a part of the billing period, and so is the cost",
}

Row = Mapping[str, Any]


def paths(
    *,
    period: Annotated[
        str | None,
        typer.Option("--period", help="Billing period, YYYY-MM [default: the newest with usage].", show_default=False),
    ] = None,
    workload: Annotated[str | None, typer.Option("--workload", help="This workload alone.", show_default=False)] = None,
    top: Annotated[int, typer.Option("--top", help="Workloads that are listed, the dearest first; JSON has all.")] = 10,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what each workload would cost on model APIs, hyperscalers, neo-clouds and own hardware, and why not.

    Offers, throughput, workloads and rules of residency are reference data of the kind `inference_paths`. `*` marks the
    cheapest path. From so many tokens a month, or so much use of an instance, on it costs no more than the model API.
    """
    from tollbook.insight.path_rows import read_paths

    chosen, rows = read_paths(Settings.load(home=home), period=period, workload=workload)
    if as_json:
        print_json({"billing_period": chosen, "rows": rows})
        return
    by_workload = [list(each) for _, each in groupby(rows, key=lambda row: row["workload"])]
    typer.echo(chosen)
    typer.echo()
    print_table(_HEADINGS, [line for each in by_workload[:top] for line in _lines(each)])
    _tell((row for each in by_workload[:top] for row in each), len(by_workload[top:]))


def _lines(rows: Sequence[Row]) -> Iterator[Sequence[object]]:
    """Yield the lines of a workload; paths that are excluded for one reason share a line."""
    excluded: dict[str, list[Row]] = {}
    for row in rows:
        if row["excluded_reason"] is None:
            yield _line(row, row["inference_path"])
        else:
            excluded.setdefault(row["excluded_reason"], []).append(row)
    for several in excluded.values():
        yield _line(several[0], ", ".join(row["inference_path"] for row in several))


def _line(row: Row, path: str) -> Sequence[object]:
    cost = _cents(row["path_cost"])
    return (
        row["workload"],
        path,
        f"{cost} *" if row["is_cheapest"] else cost,
        _price(row["cost_per_million_tokens"]),
        _price(row["cost_per_task"]),
        row["offer_id"] or row["cost_kind"],
        row["instances"],
        _percent(row["utilisation"]),
        _count(row["break_even_tokens"]),
        _percent(row["break_even_utilisation"]),
        row["excluded_reason"] or row["break_even_reason"],
    )


def _tell(rows: Iterable[Row], left: int) -> None:
    """Say on stderr what costs rest on, and how many workloads are not listed."""
    held: dict[str, set[str]] = {}
    for row in rows:
        for name in (row["caveats"] or "").split(", "):
            held.setdefault(name, set()).add(row["inference_path"])
    for name, words in _CAVEATS.items():
        if name in held:
            progress(f"{', '.join(sorted(held[name]))}: {words}")
    if left:
        progress(f"{left:,} more: --json has all workloads, and so has a larger --top")


def _cents(amount: str | Decimal | None) -> str | None:
    return None if amount is None else f"{Decimal(amount):,.2f}"


def _price(amount: str | Decimal | None) -> str | None:
    return None if amount is None else f"{Decimal(amount):,.4f}"


def _percent(share: str | Decimal | None) -> str | None:
    return None if share is None else f"{Decimal(share) * 100:,.2f}"


def _count(tokens: int | None) -> str | None:
    return None if tokens is None else f"{tokens:,}"
