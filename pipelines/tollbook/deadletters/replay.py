"""Replay: rejects become records of a topic again, under the identity that they had.

At least once: a chunk of records is produced, and only then noted as replayed. Whoever is killed in between produces it
again, which is harmless: the events' identity is the same, so that the warehouse counts each once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from tollbook.broker.topics import REJECTS_TOPIC
from tollbook.contracts import usage_event
from tollbook.deadletters import kept
from tollbook.deadletters.filters import REPLAYED, RejectFilter
from tollbook.deadletters.find import kept_rows, rejects_in_order, unparsed_values
from tollbook.deadletters.kept import Letter
from tollbook.deadletters.outcomes import outcomes_lock, settle
from tollbook.deadletters.produce import LetterProducer
from tollbook.errors import MisuseError
from tollbook.formats.decoder import UNPARSED
from tollbook.formats.registry import format_named
from tollbook.formats.route import RecordRouter
from tollbook.reference.dimensions import dimensions_of
from tollbook.settings import Settings

CHUNK_REJECTS: Final = 1_000
CHUNK_BYTES: Final = 16 * 1024 * 1024
_MAX_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What to replay, and how.

    Attributes:
        wanted: Which rejects.
        to_topic: Topic to produce to; None for each one's own.
        read_as: Format that values are told to have; None for the one they were read as.
        changes: Field of the native event to the value to set, as text.
        unchecked: Produce also what would be rejected again.
        dry_run: Only say what would be done.
    """

    wanted: RejectFilter
    to_topic: str | None = None
    read_as: str | None = None
    changes: Mapping[str, str] = field(default_factory=dict)
    unchecked: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class Refusal:
    """Rejects that are not replayed for one reason.

    Attributes:
        code: Code of `kept.REFUSALS`.
        detail: Which field, or which reason.
        rejects: How many.
        examples: Ids of a few of them.
    """

    code: str
    detail: str
    rejects: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ReplayResult:
    """What a replay did, or would do.

    Attributes:
        matched: Rejects that were meant.
        replayed: Of these, those that are records again; in a dry run, those that would be.
        records: Records that were produced: fewer where one record told of several rejects.
        topics: Records by the topic that took them.
        refusals: Those that are not replayed, by why, most first.
    """

    matched: int = 0
    replayed: int = 0
    records: int = 0
    topics: Counter[str] = field(default_factory=Counter)
    refusals: dict[tuple[str, str], Refusal] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        """Rejects that are not replayed."""
        return self.matched - self.replayed

    def sorted_refusals(self) -> list[Refusal]:
        """Return why rejects are not replayed, most first."""
        return sorted(self.refusals.values(), key=lambda each: (-each.rejects, each.code, each.detail))

    def refuse(self, letter: Letter) -> None:
        """Count a letter that is refused."""
        code = letter.refused or ""
        refusal = self.refusals.setdefault((code, letter.detail), Refusal(code, letter.detail))
        refusal.rejects += len(letter.reject_ids)
        refusal.examples += letter.reject_ids[: _MAX_EXAMPLES - len(refusal.examples)]


def replay_rejects(
    settings: Settings,
    options: ReplayOptions,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    tell: Callable[[str], None] = lambda _message: None,
) -> ReplayResult:
    """Produce rejects again and note them as replayed; return what was done.

    Raises:
        MisuseError: A field cannot be set, or the topic is not one to replay to.
        KafkaUnavailableError: The broker did not take the records. What it took before is noted.
        LakeLockedError: Another replay is at work.
    """
    changes = settable(options.changes)
    if options.read_as is not None:
        format_named(options.read_as)
    if options.to_topic == REJECTS_TOPIC:
        raise MisuseError(f"expected a topic that a meter reads, got {REJECTS_TOPIC}, which tells of rejects")
    router = RecordRouter(dimensions_of(settings.dimensions))
    lock: AbstractContextManager[None] = nullcontext() if options.dry_run else outcomes_lock(settings.lake)
    with lock, LetterProducer(settings) as producer:
        index = rejects_in_order(settings.lake, options.wanted)
        result = ReplayResult(matched=index.num_rows)
        for chunk in _chunks(index):
            now = clock()
            letters = _letters(settings, chunk, options, changes)
            if not options.unchecked:
                letters = kept.judged(letters, router, now)
            if not options.dry_run:
                letters = producer.send(letters, to_topic=options.to_topic)
            _account(settings, letters, options, result, now)
            if not options.dry_run:
                tell(f"{result.replayed:,} of {result.matched:,} replayed, {_refused(result):,} not")
    return result


def settable(changes: Mapping[str, str]) -> dict[str, Any]:
    """Return fields of the native event with their values as its contract types them; an empty text takes one away.

    Raises:
        MisuseError: The contract has no such field, or the text is not of its type.
    """
    found: dict[str, Any] = {}
    for name, text in changes.items():
        if name not in usage_event().names:
            raise MisuseError(f"expected a field of usage_event to set, got {name!r}")
        kind = usage_event().field(name).arrow_type
        if text == "":
            found[name] = None
        elif pa.types.is_integer(kind):
            if not text.removeprefix("-").isdecimal():
                raise MisuseError(f"expected a whole number for {name}, got {text!r}")
            found[name] = int(text)
        elif pa.types.is_boolean(kind):
            if text not in {"true", "false"}:
                raise MisuseError(f"expected true or false for {name}, got {text!r}")
            found[name] = text == "true"
        elif pa.types.is_string(kind) or pa.types.is_timestamp(kind) or pa.types.is_decimal(kind):
            found[name] = text
        else:
            raise MisuseError(f"expected a field that is a text, a number or a time, got {name}, which is {kind}")
    return found


def _letters(settings: Settings, chunk: pa.Table, options: ReplayOptions, changes: Mapping[str, Any]) -> list[Letter]:
    """Return what would be produced of some rejects, in order of place."""
    rows = kept_rows(sorted(set(chunk["path"].to_pylist())), chunk["reject_id"].to_pylist())
    apart = [row["reject_id"] for row in rows if row["value_state"] == UNPARSED]
    values = unparsed_values(settings.lake, apart) if apart else {}
    letters = kept.together([kept.letter_of(row, values) for row in rows])
    told = (kept.with_format(each, options.read_as) for each in letters)
    return [kept.without_lost_content(kept.mended(each, changes)) for each in told]


def _account(
    settings: Settings, letters: Sequence[Letter], options: ReplayOptions, result: ReplayResult, now: datetime
) -> None:
    """Note which letters are records again, by the topic that took them, and count the others."""
    done: dict[str, list[str]] = {}
    for letter in letters:
        if letter.refused is not None:
            result.refuse(letter)
            continue
        topic = options.to_topic or letter.topic
        done.setdefault(topic, []).extend(letter.reject_ids)
        result.replayed += len(letter.reject_ids)
        result.records += 1
        result.topics[topic] += 1
    if not options.dry_run:
        for topic, ids in done.items():
            settle(settings.lake, REPLAYED, ids, how=topic, now=now)


def _chunks(index: pa.Table) -> Iterator[pa.Table]:
    """Yield rejects in runs of bounded number and size."""
    start = held = 0
    for row, size in enumerate(index["value_bytes"].to_pylist()):
        if row > start and (row - start >= CHUNK_REJECTS or held + size > CHUNK_BYTES):
            yield index.slice(start, row - start)
            start, held = row, 0
        held += size
    if start < index.num_rows:
        yield index.slice(start)


def _refused(result: ReplayResult) -> int:
    return sum(each.rejects for each in result.refusals.values())
