"""The closing policy: who approves, and what a close tolerates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tollbook.errors import ApprovalError
from tollbook.reconcile.findings import DEFAULT_TOLERANCE, Tolerance
from tollbook.reference.documents import read_document
from tollbook.settings import Settings


@dataclass(frozen=True, slots=True)
class ClosingPolicy:
    """What the organisation says of closing.

    Attributes:
        approvers: Who may approve; empty for anybody but who asked.
        tolerance: Residuals of reconciliation that do not stand against a close.
    """

    approvers: tuple[str, ...] = ()
    tolerance: Tolerance = DEFAULT_TOLERANCE

    def refuse_approver(self, author: str, *, asked_by: str | None, what: str) -> None:
        """Refuse one who may not approve.

        Args:
            author: Who approves.
            asked_by: Who asked for it, None where nobody did.
            what: What is approved, for the message.

        Raises:
            ApprovalError: It is the one who asked, or none of the approvers.
        """
        if asked_by is not None and author.casefold() == asked_by.casefold():
            raise ApprovalError(f"expected another than {asked_by}, who asked for it, to approve {what}")
        if self.approvers and author not in self.approvers:
            raise ApprovalError(
                f"expected one of the approvers of the closing policy ({', '.join(self.approvers)}) to approve {what}, "
                f"got {author}"
            )


def closing_policy(settings: Settings) -> ClosingPolicy:
    """Return the policy in use.

    Raises:
        ReferenceDataError: The document has a fault.
    """
    path = settings.closing_policy
    return read_closing_policy(path) if path.exists() else ClosingPolicy()


def read_closing_policy(path: Path) -> ClosingPolicy:
    """Return the policy of a YAML document `closing_policy: 1`.

    Raises:
        ReferenceDataError: It breaks its schema.
    """
    content: Mapping[str, Any] = read_document(path, "closing_policy").content
    told = content.get("tolerance")
    tolerance = DEFAULT_TOLERANCE if told is None else Tolerance(Decimal(told["amount"]), Decimal(told["percent"]))
    return ClosingPolicy(tuple(content.get("approvers", ())), tolerance)
