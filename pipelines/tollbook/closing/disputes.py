"""Disputing a charge line, deciding a dispute, and adjusting a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tollbook.closing.adjustments import (
    ADJUSTED,
    OPENED,
    REJECTED,
    UPHELD,
    AdjustmentEntry,
    Adjustments,
    Place,
    Step,
    adjustments_log,
    append_adjustment,
    read_adjustments,
)
from tollbook.closing.closes import period_name, read_closes
from tollbook.closing.policy import closing_policy
from tollbook.errors import MisuseError
from tollbook.lake.log import log_lock
from tollbook.settings import Settings
from tollbook.warehouse.query import ask

Clock = Callable[[], datetime]
UNALLOCATED = "unallocated"


@dataclass(frozen=True, slots=True)
class Move:
    """What goes from the team of a line to another.

    Attributes:
        amount: What moves; None for all of the line's effective cost. Unit: the line's pricing currency.
        team: Who takes it.
        workflow: Workflow that takes it.
    """

    amount: Decimal | None = None
    team: str = UNALLOCATED
    workflow: str = UNALLOCATED


def open_dispute(
    settings: Settings, charge_id: str, *, author: str, reason: str, clock: Clock = lambda: datetime.now(UTC)
) -> AdjustmentEntry:
    """Dispute a line of the published file; a period with an open dispute cannot be closed.

    Raises:
        MisuseError: There is no such line, or it is disputed already.
    """
    with _log(settings) as adjustments:
        line = _line(settings, charge_id)
        held = next((each for each in adjustments.open_disputes() if each.charge_id == charge_id), None)
        if held is not None:
            raise MisuseError(f"expected a line that is not disputed, but dispute {held.number} of it is open")
        return _append(settings, adjustments, line, step=OPENED, author=author, reason=reason, at=clock())


def resolve_dispute(
    settings: Settings,
    number: int,
    *,
    upheld: bool,
    author: str,
    reason: str,
    move: Move | None = None,
    clock: Clock = lambda: datetime.now(UTC),
) -> AdjustmentEntry:
    """Decide a dispute. Upheld, an amount moves to another team in the period that is open now.

    Raises:
        MisuseError: There is no such open dispute, or the line has no such amount.
        ApprovalError: Who decides opened it, or is none of the approvers.
    """
    with _log(settings) as adjustments:
        dispute = adjustments.dispute(number)
        policy = closing_policy(settings)
        policy.refuse_approver(author, asked_by=dispute.author, what=f"a decision of dispute {number}")
        line = _line(settings, dispute.charge_id)
        step: Step = UPHELD if upheld else REJECTED
        moved = _moved(settings, adjustments, line, move or Move()) if upheld else {}
        return _append(
            settings, adjustments, line, step=step, author=author, reason=reason, at=clock(), dispute=number, **moved
        )


def adjust_line(
    settings: Settings,
    charge_id: str,
    move: Move,
    *,
    author: str,
    reason: str,
    clock: Clock = lambda: datetime.now(UTC),
) -> AdjustmentEntry:
    """Move an amount of a line to another team without a dispute, as an approver may.

    Raises:
        MisuseError: There is no such line, or it has no such amount.
        ApprovalError: The policy names others as approvers.
    """
    with _log(settings) as adjustments:
        line = _line(settings, charge_id)
        closing_policy(settings).refuse_approver(author, asked_by=None, what=f"an adjustment of {charge_id}")
        moved = _moved(settings, adjustments, line, move)
        return _append(settings, adjustments, line, step=ADJUSTED, author=author, reason=reason, at=clock(), **moved)


@contextmanager
def _log(settings: Settings) -> Iterator[Adjustments]:
    with log_lock(adjustments_log(settings.lake), wait=True):
        yield read_adjustments(settings.lake)


def _line(settings: Settings, charge_id: str) -> dict[str, Any]:
    if not charge_id.isalnum():
        raise MisuseError(f"expected the charge_id of a line of finance.fct_charges, got {charge_id!r}")
    answer = ask(settings, f"select * from finance.fct_charges where charge_id = '{charge_id}'")
    if len(answer.rows) != 1:
        raise MisuseError(
            f"expected the charge_id of one line of finance.fct_charges, got {charge_id}, which {len(answer.rows)} have"
        )
    return dict(zip(answer.columns, answer.rows[0], strict=True))


def _moved(settings: Settings, adjustments: Adjustments, line: dict[str, Any], move: Move) -> dict[str, Any]:
    held = line["pricing_currency_effective_cost"]
    if held is None:
        raise MisuseError(f"expected a line of known cost, got {line['charge_id']}, whose effective cost is unknown")
    # What was moved before is another's already: a line can be given away once.
    left = held - adjustments.moved_of(line["charge_id"])
    amount = left if move.amount is None else move.amount
    if not amount or abs(amount) > abs(left) or (amount < 0) != (left < 0):
        raise MisuseError(
            f"expected an amount of the {left:f} {line['pricing_currency']} that the line's team still bears of its "
            f"{held:f} (of its sign, and not more), got {amount:f}"
        )
    start, open_start = line["billing_period_start"], read_closes(settings.lake).open_start()
    posted = start if open_start is None else max(start, open_start)
    return {
        "currency": line["pricing_currency"],
        "amount": f"{amount:f}",
        "from_place": _place(line),
        "to_place": _place_of_team(settings, move),
        "obligation": line["obligation"],
        "billed_by": line["billed_by"],
        "posted_period": period_name(posted),
    }


def _place(line: dict[str, Any]) -> Place:
    return Place(**{name: line[name] for name in ("team", "cost_center", "business_unit", "workflow")})


def _place_of_team(settings: Settings, move: Move) -> Place:
    """Return the place of a team, where charges have it last."""
    if move.team == UNALLOCATED:
        return Place(team=UNALLOCATED, cost_center=UNALLOCATED, business_unit=UNALLOCATED, workflow=move.workflow)
    quoted = move.team.replace("'", "''")
    rows = ask(
        settings,
        f"select cost_center, business_unit from finance.fct_charges where team = '{quoted}' "
        "order by billing_period_start desc, charge_period_end desc, charge_id limit 1",
    ).rows
    if not rows:
        raise MisuseError(f"expected a team that has charges, got {move.team!r}")
    ((cost_center, business_unit),) = rows
    return Place(team=move.team, cost_center=cost_center, business_unit=business_unit, workflow=move.workflow)


def _append(
    settings: Settings,
    adjustments: Adjustments,
    line: dict[str, Any],
    *,
    step: Step,
    author: str,
    reason: str,
    at: datetime,
    **more: Any,
) -> AdjustmentEntry:
    entry = AdjustmentEntry(
        number=adjustments.number + 1,
        step=step,
        charge_id=line["charge_id"],
        period=period_name(line["billing_period_start"]),
        team=line["team"],
        author=author,
        reason=reason,
        recorded_at=at,
        **more,
    )
    append_adjustment(settings.lake, entry)
    return entry
