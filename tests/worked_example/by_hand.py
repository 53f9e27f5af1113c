"""Statements and the roll-forward by hand: a closed month stays, what is known later is posted in the next open one.

What a month is charged when it is closed is the sum of what is known of it then, and of what has changed since the
close before of every month that was closed already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Final, TypeVar

from tests.worked_example.charges_by_hand import Month
from tests.worked_example.known_by_hand import PICO, Charge, Knowledge, Receiver, borne
from tests.worked_example.organisation import MONTHS

CENT: Final = PICO // 100
MOVES: Final = {
    6: [
        (("legal", "S-200", "Services", "legal-review"), -3_500_000_000_000),
        (("finance", "C-100", "Corporate", "finance-close"), 3_500_000_000_000),
    ],
    8: [
        (("data", "C-200", "Corporate", "data-label"), -7_000_000_000_000),
        (("search", "P-100", "Products", "search-eval"), 7_000_000_000_000),
    ],
}
"""What was moved, by the month that took it, in picos: one unit of 3.50 of the upheld dispute, and an adjustment."""
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class Balance:
    """A month of the roll-forward in one currency, in picos."""

    billed: int
    opening_prepayments: int
    closing_prepayments: int
    opening_accruals: int
    closing_accruals: int
    effective: int


def statement(month: int, of: Callable[[Receiver], str]) -> dict[str, int]:
    """Return what a month's statements say, in picos of USD, by something of those who bear it."""
    sums: defaultdict[str, int] = defaultdict(int)
    for who, cost in posted(month, _borne).items():
        sums[of(who)] += cost
    for who, cost in MOVES.get(month, ()):
        sums[of(who)] += cost
    return dict(sums)


def cents(amounts: Mapping[str, int]) -> dict[str, int]:
    """Return amounts in cents: the whole rounded half-even, each floored, the rest to those who lost most by it."""
    whole = round(Fraction(sum(amounts.values()), CENT))
    parts = {name: amount // CENT for name, amount in amounts.items()}
    lost = sorted(parts, key=lambda name: (-(amounts[name] % CENT), name))
    for name in lost[: whole - sum(parts.values())]:
        parts[name] += 1
    return parts


def posted(month: int, told: Callable[[int, int], Mapping[_Key, int]]) -> dict[_Key, int]:
    """Return what is posted in a month.

    Args:
        month: The month.
        told: Gives sums for a month by what is known when another one is closed.
    """
    sums: defaultdict[_Key, int] = defaultdict(int)
    for key, amount in told(month, month).items():
        sums[key] += amount
    for closed in (each for each in MONTHS if each < month):
        for closing, sign in ((month, 1), (month - 1, -1)):
            for key, amount in told(closed, closing).items():
                sums[key] += sign * amount
    return dict(sums)


def roll_forward() -> dict[tuple[int, str], Balance]:
    """Return the balances of each month and currency: each obligation is prepaid or accrued by itself.

    Prepaid is what was payable and is not used up, or billed and not payable; accrued what was payable and is not
    billed, or used up and not payable.
    """
    obligations = sorted({key for month in MONTHS for key in posted(month, _payable) | posted(month, _invoiced)})
    payable, used, billed = (dict.fromkeys(obligations, 0) for _ in range(3))
    before: dict[str, tuple[int, int]] = {}
    found = {}
    for month in MONTHS:
        moved = [posted(month, told) for told in (_payable, _used, _invoiced, _by_itself)]
        for key in obligations:
            payable[key] += moved[0].get(key, 0)
            used[key] += moved[1].get(key, 0)
            billed[key] += moved[2].get(key, 0) + moved[3].get(key, 0)
        for currency in ("EUR", "USD"):
            mine = [key for key in obligations if key[1] == currency]
            prepaid = sum(max(payable[key] - used[key], 0) + max(billed[key] - payable[key], 0) for key in mine)
            accrued = sum(max(payable[key] - billed[key], 0) + max(used[key] - payable[key], 0) for key in mine)
            opening = before.get(currency, (0, 0))
            found[month, currency] = Balance(
                billed=sum(moved[2].get(key, 0) + moved[3].get(key, 0) for key in mine),
                opening_prepayments=opening[0],
                closing_prepayments=prepaid,
                opening_accruals=opening[1],
                closing_accruals=accrued,
                effective=sum(moved[1].get(key, 0) for key in mine),
            )
            before[currency] = (prepaid, accrued)
    return found


def origins(month: int) -> dict[str, int]:
    """Return what is posted in a month by what made it, in picos of USD."""
    return posted(month, _by_kind)


@cache
def _charges(month: int, closing: int) -> tuple[Charge, ...]:
    return tuple(Month(month, Knowledge(closing)).charges())


def _borne(month: int, closing: int) -> dict[Receiver, int]:
    sums: defaultdict[Receiver, int] = defaultdict(int)
    for charge in _charges(month, closing):
        for who, cost in borne(charge):
            sums[who] += cost
    return sums


def _summed(
    month: int, closing: int, key: Callable[[Charge], _Key], amount: Callable[[Charge], int]
) -> dict[_Key, int]:
    sums: defaultdict[_Key, int] = defaultdict(int)
    for charge in _charges(month, closing):
        sums[key(charge)] += amount(charge)
    return sums


def _by_kind(month: int, closing: int) -> dict[str, int]:
    return _summed(month, closing, lambda charge: charge.kind, lambda charge: charge.cost)


def _settled(charge: Charge) -> tuple[str, str]:
    return charge.obligation, charge.currency


def _payable(month: int, closing: int) -> dict[tuple[str, str], int]:
    return _summed(month, closing, _settled, lambda charge: charge.payable)


def _used(month: int, closing: int) -> dict[tuple[str, str], int]:
    return _summed(month, closing, _settled, lambda charge: charge.used)


def _by_itself(month: int, closing: int) -> dict[tuple[str, str], int]:
    """What the organisation bills itself for its own, when it falls due."""
    return _summed(month, closing, _settled, lambda charge: charge.payable if charge.is_own else 0)


def _invoiced(month: int, closing: int) -> dict[tuple[str, str], int]:
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    for line in Knowledge(closing).invoice_lines():
        if line.issued == month:
            sums[line.obligation, line.currency] += round(line.amount * PICO)
    return sums
