"""The double entry of statement lines: teams' expense is debited, the clearing of who bills is credited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from tollbook.chargeback.accounts import MATCHED, NO_RULE, Account, AccountRules
from tollbook.chargeback.rounding import from_minor
from tollbook.chargeback.statement_lines import Row, digest_of
from tollbook.errors import DocumentFault, JournalUnbalancedError

UNMAPPED: Final = "unmapped"
_TOLD_APART_BY: Final = (
    *("posting", "currency", "legal_entity", "account", "unposted_reason"),
    *("business_unit", "cost_center", "team", "provider", "obligation"),
)
_POSTED_TO: Final = {
    "expense": ("business_unit", "cost_center", "team"),
    "clearing": ("provider", "obligation"),
}
_SIGN: Final = {"expense": 1, "clearing": -1}


@dataclass(frozen=True, slots=True)
class DoubleEntry:
    """What is posted of a billing period.

    Attributes:
        lines: `journal_line/v1` with `unposted_reason`, the expense before the clearing. A line has either an account
            or a reason, and the other is None.
        findings: What no rule matches, in words, sorted.
        contradictions: Rules that name equally much and different accounts.
    """

    lines: list[Row]
    findings: tuple[str, ...]
    contradictions: frozenset[DocumentFault]


def double_entry(
    lines: Iterable[Row], rules: AccountRules, *, journal_id: str, period: str, posting_date: date
) -> DoubleEntry:
    """Return the double entry of statement lines.

    A sum below zero, such as a credit's, stands on the other side; one of zero is left out.

    Args:
        lines: `statement_line/v1`; those of unknown effective cost are not posted.
        rules: Accounts.
        journal_id: Name of the journal.
        period: Billing period, `YYYY-MM`.
        posting_date: Date of every line.
    """
    sums: defaultdict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
    findings: set[str] = set()
    contradictions: set[DocumentFault] = set()
    account_of = _remembered(rules)
    for line in lines:
        if not line["effective_amount"]:
            continue
        entity = rules.legal_entity(line)
        for posting, sign in _SIGN.items():
            account = account_of(line, posting)
            if account.fault is not None:
                contradictions.add(account.fault)
            elif account.number is None:
                findings.add(
                    f"no {posting} account for {line['charge_category']} {line['charge_kind']} of "
                    f"{line['provider'] or line['source_id']}, cost centre {line['cost_center']}"
                )
            facts = {name: line[name] for name in _POSTED_TO[posting]} | {
                "posting": posting,
                "currency": line["billing_currency"],
                "legal_entity": entity,
                "account": account.number,
                "unposted_reason": account.unposted_reason,
            }
            sums[tuple(facts.get(name) for name in _TOLD_APART_BY)].append(sign * line["effective_amount"])
    posted = [
        _posted(dict(zip(_TOLD_APART_BY, key, strict=True)), amounts, period)
        for key, amounts in sorted(sums.items(), key=lambda each: _order(each[0]))
    ]
    common = {"journal_id": journal_id, "posting_date": posting_date}
    return DoubleEntry(
        [common | line for line in posted if line["debit"] or line["credit"]],
        tuple(sorted(findings)),
        frozenset(contradictions),
    )


def refuse_unbalanced(lines: Iterable[Row]) -> None:
    """Refuse lines whose debits and credits differ in a currency, or in a legal entity's part of it.

    Raises:
        JournalUnbalancedError: They do.
    """
    balances: defaultdict[tuple[str, str | None], Decimal] = defaultdict(Decimal)
    for line in lines:
        balances[line["currency"], line["legal_entity"]] += line["debit"] - line["credit"]
    differences = {key: balance for key, balance in balances.items() if balance}
    if differences:
        raise JournalUnbalancedError(differences)


def debits(lines: Iterable[Row]) -> dict[str, Decimal]:
    """Return the sum of debits by currency."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        sums[line["currency"]] += line["debit"]
    return dict(sorted(sums.items()))


def _remembered(rules: AccountRules) -> Callable[[Row, str], Account]:
    """Return how the account of a line is found; many lines are alike in all that rules match."""
    found: dict[tuple[Any, ...], Account] = {}

    def account_of(line: Row, posting: str) -> Account:
        key = (posting, *(line[name] for name in MATCHED))
        if key not in found:
            found[key] = rules.account(line, posting)
        return found[key]

    return account_of


def _account_name(facts: Row) -> str:
    """Return what a line is known by for its account: the number, else why there is none."""
    return str(facts["account"] or (UNMAPPED if facts["unposted_reason"] == NO_RULE else facts["unposted_reason"]))


def _order(key: tuple[Any, ...]) -> tuple[str, ...]:
    """Return what lines are sorted by: expense before clearing, else as they are told apart."""
    facts = dict(zip(_TOLD_APART_BY, key, strict=True))
    return ("0" if facts["posting"] == "expense" else "1", *(part or "" for part in _identity(facts)[1:]))


def _identity(facts: Row) -> list[str | None]:
    """Return what a line is known by within its billing period."""
    named = facts | {"account": _account_name(facts)}
    return [named[name] for name in _TOLD_APART_BY if name != "unposted_reason"]


def _posted(facts: Row, amounts: Sequence[Decimal], period: str) -> Row:
    balance, zero = sum(amounts, Decimal()), from_minor(0, facts["currency"])
    whose = facts["team"] if facts["posting"] == "expense" else facts["obligation"] or facts["provider"]
    return {
        "journal_line_id": digest_of(period, *_identity(facts)),
        "billing_period": period,
        **facts,
        "side": "debit" if balance > 0 else "credit",
        "debit": max(balance, zero),
        "credit": max(-balance, zero),
        "statement_lines": len(amounts),
        "text": f"AI costs {period}: {whose}",
    }
