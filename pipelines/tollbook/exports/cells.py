"""Texts that a spreadsheet shows and never runs.

A spreadsheet that opens a CSV file takes a cell that begins with one of a few characters for a formula. Teams,
workflows and models are named by events, so anyone who can call a model could write one.

Source: OWASP, CSV Injection, read 2026-11-26.
"""

from __future__ import annotations

from typing import Final

_GUARD: Final = "'"
_FORMULA_STARTS: Final = frozenset("=+-@\t\r\n＝＋－＠")


def safe_text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula.

    A text that could be one, behind blanks too, has an apostrophe before it, and so has one that begins with an
    apostrophe: `told_text` gives every text back.
    """
    return _GUARD + text if may_be_formula(text) or text.startswith(_GUARD) else text


def told_text(cell: str) -> str:
    """Return the text that `safe_text` made a cell of."""
    return cell.removeprefix(_GUARD)


def may_be_formula(text: str) -> bool:
    """Return whether a spreadsheet could take a text for a formula."""
    seen = text.lstrip()
    return text[:1] in _FORMULA_STARTS or seen[:1] in _FORMULA_STARTS
