"""Every exception that Tollbook raises.

Exceptions keep their facts as attributes and survive pickling, because Beam moves them between workers. A message
says what was expected, what came, and where.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_LISTED_FAULTS: Final = 20


class TollbookError(Exception):
    """Base of all errors that a user can act on.

    Attributes:
        exit_code: Exit status of the command line: 1 for a finding, 2 for misuse.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class MisuseError(TollbookError):
    """The command or its settings cannot work as given."""

    exit_code = 2


class ContractNotFoundError(TollbookError):
    """A schema is in neither the package nor the checkout."""


class ApprovalError(TollbookError):
    """Who approves may not: it is the one who asked, or none of those who may."""


class CloseRefusedError(TollbookError):
    """A billing period cannot be closed.

    Attributes:
        findings: What stands against it, in words.
    """

    def __init__(self, message: str, findings: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join((message, *(f"  {each}" for each in findings))))
        self.told = message
        self.findings = findings

    def __reduce__(self) -> tuple[type[CloseRefusedError], tuple[str, tuple[str, ...]]]:
        return (type(self), (self.told, self.findings))


class RejectedRecordError(TollbookError):
    """One record is wrong. It becomes a dead letter; its neighbours go on.

    Attributes:
        reason: Code from `tollbook.formats.reasons.REASONS`.
        field: Field at fault, or None for the whole record.
        expected: What the contract asks for.
        got: What came, shortened, never content of a prompt.
    """

    def __init__(self, reason: str, field: str | None, expected: str, got: str) -> None:
        where = f"`{field}`" if field else "the record"
        super().__init__(f"{reason}: expected {where} to be {expected}, got {got}")
        self.reason = reason
        self.field = field
        self.expected = expected
        self.got = got

    def __reduce__(self) -> tuple[type[RejectedRecordError], tuple[str, str | None, str, str]]:
        return (type(self), (self.reason, self.field, self.expected, self.got))


class CommitConflictError(TollbookError):
    """Another writer committed first; this writer's work is not in the book and must be planned again."""


class FencedError(CommitConflictError):
    """Another meter took the lake over; this one may commit no more."""


class RejectFloodError(TollbookError):
    """More records are rejected than may be: the micro-batch ends before its commit, with a diagnosis."""


class MicroBatchGivenUpError(TollbookError):
    """A micro-batch was ended before its commit, since the meter was asked to stop; nothing of it is in the book."""


class ExpiredCommitError(TollbookError):
    """A commit is too old to be read: its manifest and the checkpoints around it are no longer kept."""


class LakeFormatError(TollbookError):
    """The lake was written by a later version of Tollbook."""


class LakeLockedError(TollbookError):
    """Another meter holds the lake."""


class UpkeepError(TollbookError):
    """A file that upkeep made of others does not hold what they held; nothing was committed."""


class CorruptManifestError(TollbookError):
    """A manifest cannot be read, or the chain of manifests has a hole."""


class OffsetGapError(TollbookError):
    """Kafka no longer holds records that were never read."""


class GapAcceptanceError(TollbookError):
    """A gap of offsets is not as it was when it was found, so its acceptance would mean something else."""


class KafkaUnavailableError(TollbookError):
    """No Kafka broker answered."""


class KafkaRefusedError(KafkaUnavailableError):
    """Kafka refuses this client, or this client Kafka: certificates, credentials or protocols do not fit."""


@dataclass(frozen=True, slots=True)
class DocumentFault:
    """One thing wrong with a document.

    Attributes:
        file: Path of the document.
        line: Line, from 1.
        field: Keys and positions that lead to what is wrong, with `/`; empty for the whole document.
        value: What came, as it is written; None where nothing did.
        rule: What was expected.
    """

    file: str
    line: int
    field: str
    value: str | None
    rule: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: {self.field}: " if self.field else f"{self.file}:{self.line}: "
        return f"{place}{self.rule}" if self.value is None else f"{place}{self.rule}, got {self.value}"


class ReferenceDataError(TollbookError):
    """A reference file breaks its schema or contradicts itself.

    Attributes:
        faults: What is wrong, by line, where it is known that well.
    """

    def __init__(self, message: str, faults: tuple[DocumentFault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults

    @classmethod
    def of_faults(cls, faults: Iterable[DocumentFault]) -> ReferenceDataError:
        """Return an error that lists faults by file and line; of very many the first."""
        known = tuple(sorted(set(faults), key=lambda fault: (fault.file, fault.line, fault.field, fault.rule)))
        listed = [str(fault) for fault in known[:_LISTED_FAULTS]]
        if len(known) > len(listed):
            listed.append(f"and {len(known) - len(listed)} more")
        if len(listed) == 1:
            return cls(listed[0], known)
        files = ", ".join(sorted({fault.file for fault in known}))
        return cls("\n  ".join([f"expected documents without a fault, got {len(known)} in {files}:", *listed]), known)


class BrokerError(TollbookError):
    """The embedded broker cannot start or stop."""


class FlinkError(TollbookError):
    """The Flink cluster cannot start or stop, does not run, or refuses what it is asked."""


class JarError(TollbookError):
    """A jar of the embedded broker or of the Flink cluster cannot be fetched, or is not the one that was pinned."""


class TopicError(TollbookError):
    """A topic has no definition in `schemas/topics/`, or the broker refused to make it."""


class GateFailedError(TollbookError):
    """New files of the lake are not what their manifests say; the marts stay as they were.

    Attributes:
        findings: What was expected and what came, one text for each file and expectation.
    """

    def __init__(self, findings: tuple[str, ...], report: str) -> None:
        listed = "\n".join(f"  {finding}" for finding in findings)
        super().__init__(f"the gate refused new files, the marts stay as they were (report: {report})\n{listed}")
        self.findings = findings
        self.report = report

    def __reduce__(self) -> tuple[type[GateFailedError], tuple[tuple[str, ...], str]]:
        return (type(self), (self.findings, self.report))


class BookUnbalancedError(TollbookError):
    """A hand-over gave out another amount than it took in; nothing is published.

    Attributes:
        differences: Hand-over, scope, measure, amounts in and out and their difference, one text for each.
    """

    def __init__(self, differences: tuple[str, ...]) -> None:
        listed = "\n".join(f"  {difference}" for difference in differences)
        super().__init__(f"the book does not balance, nothing is published\n{listed}")
        self.differences = differences

    def __reduce__(self) -> tuple[type[BookUnbalancedError], tuple[tuple[str, ...]]]:
        return (type(self), (self.differences,))


class BuildFailedError(TollbookError):
    """dbt could not make the marts; nothing is published."""


class WarehouseStateError(TollbookError):
    """The warehouse and the lake contradict each other."""


class NothingPublishedError(MisuseError):
    """There is no published file to read yet."""


class QueryError(MisuseError):
    """The published file cannot answer a query."""


class OutdatedPublicationError(MisuseError):
    """The published file was made by an older version of Tollbook, and lacks what is asked of it."""


class ExportChangedError(TollbookError):
    """An export that is there is not what it was, or not what would be written in its place."""


class JournalUnbalancedError(TollbookError):
    """Debits and credits of a currency differ; nothing was written.

    Attributes:
        differences: Debits less credits by currency and legal entity, those that are not zero.
    """

    def __init__(self, differences: dict[tuple[str, str | None], Decimal]) -> None:
        told = "; ".join(
            f"{currency}{f' of {entity}' if entity else ''}: {difference:+f}"
            for (currency, entity), difference in sorted(differences.items(), key=str)
        )
        super().__init__(f"expected debits that equal credits, got a difference of {told}; no journal was written")
        self.differences = differences

    def __reduce__(self) -> tuple[type[JournalUnbalancedError], tuple[dict[tuple[str, str | None], Decimal]]]:
        return (type(self), (self.differences,))


class ExportLateError(TollbookError):
    """An export of a billing period, or its close, is not there when it is due.

    Attributes:
        period: The billing period, `YYYY-MM`.
    """

    def __init__(self, message: str, period: str) -> None:
        super().__init__(message)
        self.period = period

    def __reduce__(self) -> tuple[type[ExportLateError], tuple[str, str]]:
        return (type(self), (self.message, self.period))


class LakeWriteError(TollbookError):
    """A file of the lake, or one published, could not be written: disk full, read-only folder, no permission."""


class StoreUnavailableError(LakeWriteError):
    """The object store of a lake does not answer, or refuses."""
