"""The verdict of the book: does every hand-over give out what it took in?"""

from __future__ import annotations

from decimal import Decimal

import duckdb

from tollbook.errors import BookUnbalancedError

_MAX_SHOWN = 20


def check_balance(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the number of hand-overs that were compared, all equal.

    Args:
        connection: A file with `audit.fct_ledger_balance`.

    Raises:
        BookUnbalancedError: Some are not; the facts name hand-over, scope, measure and amounts.
    """
    rows = connection.execute(
        """
        select hand_over, scope, measure, amount_in, amount_out, difference
        from audit.fct_ledger_balance
        where difference <> 0
        order by all
        """
    ).fetchall()
    if rows:
        shown = [_sentence(*row) for row in rows[:_MAX_SHOWN]]
        if len(rows) > len(shown):
            shown.append(f"and {len(rows) - len(shown)} more")
        raise BookUnbalancedError(tuple(shown))
    (compared,) = connection.execute("select count(*) from audit.fct_ledger_balance").fetchall()[0]
    return int(compared)


def _sentence(hand_over: str, scope: str, measure: str, *amounts: Decimal) -> str:
    amount_in, amount_out, difference = (_plain(amount) for amount in amounts)
    return f"{hand_over}, scope {scope}, {measure}: in {amount_in}, out {amount_out}, difference {difference}"


def _plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
