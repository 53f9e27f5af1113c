"""A reject becomes a record again, as the record that it was, and counts once however often it is replayed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import zlib
from decimal import Decimal

import duckdb
import pytest
from tests.pipelines.deadletters.conftest import DeadLetters, clock, event

from tollbook.deadletters.filters import OPEN, REPLAYED, RejectFilter
from tollbook.deadletters.outcomes import outcomes_lock
from tollbook.errors import LakeLockedError, MisuseError
from tollbook.warehouse.build import build

COST = Decimal("0.0075")
LITELLM_CALL = {
    "id": "chatcmpl-1",
    "call_type": "completion",
    "status": "success",
    "custom_llm_provider": "openai",
    "model": "gpt-4o",
    "startTime": 1780308000.0,
    "endTime": 1780308001.5,
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "total_tokens": 10,
    "response": {"id": "chatcmpl-1", "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}},
    "messages": [{"role": "user", "content": "the launch is on Tuesday"}],
}


def _tellings(letters: DeadLetters) -> list[tuple[str, int]]:
    """Build, and return how many tellings are in which state."""
    build(letters.settings, clock=clock)
    with duckdb.connect((letters.settings.serve / "tollbook.duckdb").resolve(), read_only=True) as book:
        return book.execute(
            "select telling_state, sum(tellings)::int from audit.fct_tellings_daily group by all order by all"
        ).fetchall()


def test_a_wrong_time_is_mended_and_the_record_keeps_its_key_its_headers_and_its_partition(
    letters: DeadLetters,
) -> None:
    """The commonest fault of a sender: its clock. All else about the call stays what it was."""
    headers = [("team", b"search"), ("authorization", b"Bearer secret"), ("tollbook-format", b"native")]
    letters.send(event("a", occurred_at="2031-01-01T00:00:00Z"), key=b"task-7", headers=headers)
    assert letters.meter().rejected == 1

    result = letters.replay(changes={"occurred_at": "2026-06-01T10:00:00Z"})

    assert (result.matched, result.replayed, result.records, result.refused) == (1, 1, 1, 0)
    _, again = letters.records()
    assert json.loads(again.value) == json.loads(event("a"))
    assert again.key == b"task-7"
    assert dict(again.headers) == {
        "team": b"search",
        "tollbook-format": b"native",
        "tollbook-replay-of": f"{letters.topic}:0:0".encode(),
    }
    assert letters.meter().accepted == 1
    assert letters.find().matched == 0
    (done,) = letters.find(state=REPLAYED).rejects
    assert (done.state, done.settled_how) == ("replayed", letters.topic)


def test_a_reject_that_is_replayed_twice_counts_once_in_the_warehouse(letters: DeadLetters) -> None:
    """Operators repeat commands, and a kill makes a replay repeat itself: the bill must not grow."""
    letters.send(event("a"))
    letters.send(event("b", input_tokens=-1))
    letters.meter()
    for state in (OPEN, REPLAYED):
        assert letters.replay(wanted=RejectFilter(state=state), changes={"input_tokens": "1000"}).replayed == 1
    assert letters.meter().accepted == 2

    # a, b once, and b's second replay as a duplicate.
    assert _tellings(letters) == [("duplicate", 1), ("standing", 2)]
    with duckdb.connect((letters.settings.serve / "tollbook.duckdb").resolve(), read_only=True) as book:
        cost = book.execute("select sum(list_cost) from engineering.fct_usage_daily").fetchall()
        off = book.execute("select count(*) from audit.fct_ledger_balance where difference <> 0").fetchall()
    assert cost == [(2 * COST,)]
    assert off == [(0,)]


def test_killed_after_kafka_has_the_records_the_rejects_stay_open_and_a_second_replay_doubles_nothing(
    letters: DeadLetters,
) -> None:
    """At least once is the only order that loses nothing: first the record, then the word that it is there."""
    letters.send(event("a", occurred_at="2031-01-01T00:00:00Z"))
    letters.meter()
    dies = (
        "import os, signal, sys; from tollbook.deadletters import replay; from tollbook.cli import main; "
        "replay.settle = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL); sys.exit(main(sys.argv[1:]))"
    )
    command = ["rejects", "replay", "--set", "occurred_at=2026-06-01T10:00:00Z"]
    environment = os.environ | {
        "TOLLBOOK_HOME": str(letters.settings.home),
        "TOLLBOOK_BOOTSTRAP_SERVERS": str(letters.settings.bootstrap_servers),
    }

    died = subprocess.run([sys.executable, "-c", dies, *command], env=environment, capture_output=True, check=False)

    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert (len(letters.records()), letters.find().matched) == (2, 1)
    assert letters.replay(changes={"occurred_at": "2026-06-01T10:00:00Z"}).replayed == 1
    assert letters.meter().accepted == 2
    assert letters.find().matched == 0
    assert _tellings(letters) == [("duplicate", 1), ("standing", 1)]


def test_what_would_be_rejected_again_stays_open_and_a_dry_run_changes_nothing(letters: DeadLetters) -> None:
    """A replay that only makes new rejects helps nobody, and hides the old ones."""
    letters.send(event("a", model=None))
    letters.send(b"{not json")
    letters.send(event("b", occurred_at="2031-01-01T00:00:00Z"))
    letters.meter()

    dry = letters.replay(changes={"occurred_at": "2026-06-01T10:00:00Z"}, dry_run=True)

    assert (dry.matched, dry.replayed, len(letters.records())) == (3, 1, 3)
    refused = [(each.code, each.detail, each.rejects) for each in dry.sorted_refusals()]
    assert refused == [("not_native", "", 1), ("rejected_again", "missing_field of model", 1)]
    assert letters.find(state=OPEN).matched == 3
    assert letters.replay(changes={"occurred_at": "2026-06-01T10:00:00Z"}).replayed == 1
    assert letters.offsets(state=OPEN) == [0, 1]


def test_bytes_that_were_no_json_go_out_as_they_came_until_they_expire(letters: DeadLetters) -> None:
    """What a decoder of today cannot read, that of tomorrow may; but not without its bytes."""
    packed = zlib.compress(event("a"))
    letters.send(packed, headers=[("content-encoding", b"gzip")])
    letters.send(b"{not json")
    letters.meter()
    assert letters.replay(wanted=RejectFilter(from_offset=0, to_offset=1), unchecked=True).replayed == 1
    again = letters.records()[2]
    assert hashlib.sha256(again.value).digest() == hashlib.sha256(packed).digest()
    assert dict(again.headers)["content-encoding"] == b"gzip"

    for file in (letters.settings.lake / "unparsed").rglob("*.parquet"):
        file.unlink()
    (refusal,) = letters.replay(unchecked=True).sorted_refusals()
    assert (refusal.code, refusal.examples) == ("expired", [f"{letters.topic}:0:1"])


def test_a_scrubbed_record_is_replayed_unless_what_was_taken_mattered(letters: DeadLetters) -> None:
    """Without its prompt a call is the same call; without its model it is another one."""
    letters.send(event("a", occurred_at="2031-01-01T00:00:00Z", prompt="the launch is on Tuesday"))
    letters.send(event("b", model=["claude-opus-4-5-20251101"]))
    letters.meter()
    assert {each.value_state for each in letters.find().rejects} == {"scrubbed"}

    result = letters.replay(changes={"occurred_at": "2026-06-01T10:00:00Z"})

    assert [(each.code, each.detail) for each in result.sorted_refusals()] == [("content_left_out", "model")]
    assert json.loads(letters.records()[2].value) == json.loads(event("a"))
    assert letters.replay(changes={"model": "claude-opus-4-5-20251101"}).replayed == 1
    assert letters.meter().accepted == 2


def test_an_identity_is_not_changed_but_one_that_is_missing_can_be_given(letters: DeadLetters) -> None:
    """A call under another id is another call, which would be charged beside the first telling of it."""
    letters.send(event("a", occurred_at="2031-01-01T00:00:00Z"))
    letters.send(event("", model="claude-opus-4-5-20251101"))
    letters.send(json.dumps(json.loads(event("x")) | {"event_id": 17}).encode())
    letters.meter()

    other = letters.replay(changes={"occurred_at": "2026-06-01T10:00:00Z", "event_id": "17"}, dry_run=True)

    assert [(each.code, each.detail, each.examples) for each in other.sorted_refusals()] == [
        ("identity", "event_id", [f"{letters.topic}:0:0"])
    ]
    assert other.replayed == 2


def test_a_telling_of_another_format_goes_out_as_the_event_that_was_read_of_it(letters: DeadLetters) -> None:
    """What is kept of a LiteLLM call is no LiteLLM call any more, so its record says what it is."""
    wrong = LITELLM_CALL | {"startTime": 1930000000.0, "endTime": 1930000001.5}
    letters.send(json.dumps(wrong).encode(), key=b"k", headers=[("tollbook-format", b"litellm")])
    assert letters.meter().rejected == 1
    (reject,) = letters.find(formats=("litellm",)).rejects
    assert (reject.reason, reject.value_state) == ("time_out_of_range", "scrubbed")

    assert letters.replay(changes={"occurred_at": "2026-06-01T10:00:00Z"}).replayed == 1

    again = letters.records()[1]
    assert b"Tuesday" not in again.value
    assert (json.loads(again.value)["event_id"], json.loads(again.value)["source"]) == ("chatcmpl-1", "openai")
    assert dict(again.headers)["tollbook-format"] == b"native"
    assert letters.meter().accepted == 1


def test_records_of_a_format_that_was_not_known_are_read_as_the_one_named(letters: DeadLetters) -> None:
    """A misspelt header is mended by a word, not by touching each record."""
    letters.send(event("a"), headers=[("tollbook-format", b"nativ")])
    letters.meter()

    assert letters.replay(read_as="litellm", dry_run=True).sorted_refusals()[0].code == "rejected_again"
    assert letters.replay(read_as="native").replayed == 1
    assert letters.records()[1].value == event("a")
    assert letters.meter().accepted == 1


def test_a_replay_that_is_rejected_again_says_which_reject_it_was(letters: DeadLetters) -> None:
    """A chain of attempts can be followed."""
    letters.send(b"{not json")
    letters.meter()
    letters.replay(unchecked=True)
    letters.meter()

    (second,) = letters.find().rejects
    assert (second.offset, second.replay_of) == (1, f"{letters.topic}:0:0")
    assert letters.replay(unchecked=True).replayed == 1
    assert dict(letters.records()[2].headers)["tollbook-replay-of"] == second.reject_id.encode()


def test_replays_go_to_another_topic_where_one_is_named_and_to_none_that_does_not_exist(
    letters: DeadLetters, new_topic: object
) -> None:
    """A mistyped topic must not swallow what is then noted as replayed."""
    letters.send(event("a", occurred_at="2031-01-01T00:00:00Z"), key=b"task-7")
    letters.meter()
    other = new_topic(partitions=1)  # type: ignore[operator]
    for wrong in ("llm.usage.rejects", "no-such-topic"):
        with pytest.raises(MisuseError, match=wrong):
            letters.replay(unchecked=True, to_topic=wrong)
    assert letters.find().matched == 1

    assert letters.replay(unchecked=True, to_topic=other).topics == {other: 1}
    assert [(each.key, each.value) for each in letters.records(other)] == [
        (b"task-7", event("a", occurred_at="2031-01-01T00:00:00Z"))
    ]
    assert len(letters.records()) == 1


def test_a_record_that_the_topic_does_not_take_is_refused_and_its_neighbours_go_out(
    letters: DeadLetters, new_topic: object
) -> None:
    """One that is too large must not keep the others in."""
    letters.send(b"[" + os.urandom(2_000_000).hex().encode() + b"]")
    letters.send(b"{not json")
    letters.meter()

    small = new_topic(partitions=1)  # type: ignore[operator]
    from kafka.admin import ConfigResource, ConfigResourceType

    from tollbook.broker.connect import admin

    with admin(str(letters.settings.bootstrap_servers)) as client:
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, small, configs={"max.message.bytes": "100000"})])
    result = letters.replay(unchecked=True, to_topic=small)

    assert [(each.code, each.examples) for each in result.sorted_refusals()] == [
        ("too_large", [f"{letters.topic}:0:0"])
    ]
    assert [each.value for each in letters.records(small)] == [b"{not json"]
    assert letters.offsets(state=OPEN) == [0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": "x"}, "prompt"),
        ({"input_tokens": "many"}, "a whole number for input_tokens, got 'many'"),
        ({"streamed": "yes"}, "true or false for streamed"),
        ({"tags": "{}"}, "tags, which is"),
    ],
)
def test_only_fields_of_the_event_are_set_to_values_of_their_type(
    letters: DeadLetters, changes: dict[str, str], message: str
) -> None:
    """What is mistyped ends the command before a record is touched."""
    letters.settings.lake.mkdir(parents=True)
    with pytest.raises(MisuseError, match=message):
        letters.replay(changes=changes)


def test_two_replays_at_once_are_one_replay_and_a_refusal(letters: DeadLetters) -> None:
    """Both would send the same records."""
    letters.send(b"{not json")
    letters.meter()
    with outcomes_lock(letters.settings.lake), pytest.raises(LakeLockedError):
        letters.replay(unchecked=True)
    assert letters.replay(unchecked=True).replayed == 1
