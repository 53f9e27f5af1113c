"""Session files of Claude Code: one line a record; lines of a model's answer tell of a call, all others are ignored.

- Identity is the message's own id, so forks, resumed sessions, sidechains and the several lines of one answer are one
  event. The prefix of the id says who served it (`msg_bdrk_` Bedrock, `msg_vrtx_` Vertex), then the spelling of the
  model does; a model of another maker behind a compatible endpoint has the provider `unknown`, for nobody is guessed,
  and the identity is ours. Without a message id it is the request's, then the line's.
- `revision` is the output tokens told so far: counts of an answer that is still written grow, repeats are duplicates.
  Where `stop_reason` is null the answer was still being written (or the version never told), so the counts are
  `estimated`: the output may have grown after the last line.
- A line's `parentUuid` is another line, nearly always a user's with a tool's result, and never tells which call led to
  this one. So `parent_call_id` stays empty, and `call_id` too, which means `event_id`.
- `agent` is `main`, or in a sidechain the agent's type where told, else `sidechain`; the id of that run of it is a tag.
- Ignored: `user_line`, `system_line` and so on by type, `other_line` for types that are not known here, `no_usage`,
  `synthetic_line` and `api_error_line` (Claude Code's own words, no model answered).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import msgspec
import numpy as np
import pyarrow as pa

from tollbook.formats.check import Faults
from tollbook.formats.claude_code_lines import LABELLED, Line, call_of, read_line, silence_of
from tollbook.formats.decoder import Reading, Rows, Tellings
from tollbook.formats.further import told_calls
from tollbook.formats.typed_json import TypedJsonDecoder, text_column
from tollbook.formats.usage import load_table, normalise_texts

TOOL: Final = "claude_code"
_FLAVOUR: Final = "anthropic.messages"
_ANTHROPIC, _AWS, _GOOGLE, _UNKNOWN = "anthropic", "aws", "google", "unknown"
_PATHS: Final = {_ANTHROPIC: "model_api", _AWS: "hyperscaler", _GOOGLE: "hyperscaler"}
_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class ClaudeCodeDecoder(TypedJsonDecoder[Line]):
    """Decodes lines of session files. One instance serves one thread."""

    shape: ClassVar[type[msgspec.Struct]] = Line

    def _document(self, value: bytes, *, check_utf8: bool) -> Line:
        return read_line(value, max_record_bytes=self._max_record_bytes, check_utf8=check_utf8)

    def tell(self, documents: Sequence[Line], rows: Rows, reading: Reading) -> Iterator[Tellings]:
        """Yield the calls that lines tell of."""
        calls: list[Line] = []
        places: list[int] = []
        for row, document in zip(rows.tolist(), documents, strict=True):
            call = call_of(document)
            reason = call if isinstance(call, str) else silence_of(call)
            if reason is not None:
                reading.ignore(row, reason)
            elif isinstance(call, Line):
                calls.append(call)
                places.append(row)
        if not calls:
            return
        messages = [call.message for call in calls if call.message is not None]
        faults = Faults.none(len(calls))
        usage = normalise_texts([each.usage for each in messages], load_table().flavours[_FLAVOUR], faults)
        for name, times in usage.unknown.items():
            reading.note_unknown(f"usage.{name}", times)
        told = _told(calls)
        yield from told_calls(told, usage, np.array(places, np.int64), faults, self._labels(calls), revisions=True)

    def _labels(self, calls: Sequence[Line]) -> dict[str, pa.Array]:
        wanted = self._dimensions.wanted("attribute")
        labels = {
            f"attribute:{name}": text_column([getattr(call, place) for call in calls])
            for name, place in LABELLED.items()
            if name in wanted
        }
        said = [call.labels for call in calls]
        if any(said):
            for key in sorted(self._dimensions.wanted("metadata") & set().union(*(each for each in said if each))):
                labels[f"metadata:{key}"] = text_column([each.get(key) if each else None for each in said])
        return labels


def provider_of(message_id: str | None, model: str | None) -> str:
    """Return who bills a call, by the message's id and the spelling of the model; `unknown` when neither says."""
    for prefix, provider in (("msg_bdrk_", _AWS), ("msg_vrtx_", _GOOGLE)):
        if message_id is not None and message_id.startswith(prefix):
            return provider
    name = model or ""
    if "anthropic.claude" in name or name.startswith("arn:aws"):
        return _AWS
    if not name.startswith("claude"):
        return _UNKNOWN
    return _GOOGLE if "@" in name else _ANTHROPIC


def _told(calls: Sequence[Line]) -> dict[str, pa.Array]:
    """Return the fields of calls but for their usage."""
    told: dict[str, list[Any]] = {name: [] for name in ("source", "event_id", "provider", "path", "model")}
    finish, estimated = [], []
    for call in calls:
        message = call.message
        if message is None:
            raise TypeError("expected a line that tells of a call")
        provider = provider_of(message.id, message.model)
        own = message.id is not None and provider != _UNKNOWN
        told["source"].append(provider if own else TOOL)
        told["event_id"].append(message.id or call.request_id or call.uuid)
        told["provider"].append(provider)
        told["path"].append(_PATHS.get(provider))
        told["model"].append(message.model)
        stop = message.stop_reason
        finish.append(_FINISH.get(stop, stop) if isinstance(stop, str) else None)
        estimated.append("estimated" if stop is None else None)
    told |= {
        "occurred_at": [call.timestamp for call in calls],
        "task_id": [call.session_id for call in calls],
        "agent": [_agent(call) for call in calls],
        "request_id": [call.request_id for call in calls],
        "release": [call.version for call in calls],
        "finish_reason": finish,
        "usage_basis": estimated,
        "status": ["error" if call.is_api_error else "ok" for call in calls],
    }
    columns: dict[str, pa.Array] = {name: text_column(texts) for name, texts in told.items()}
    columns["conversation_id"] = columns["task_id"]
    columns["reporter"] = pa.repeat(TOOL, len(calls))
    columns["operation_name"] = pa.repeat("chat", len(calls))
    tags = [None if call.agent_id is None else [("agent_id", call.agent_id)] for call in calls]
    if any(tags):
        columns["tags"] = pa.array(tags, pa.map_(pa.string(), pa.string()))
    return columns


def _agent(call: Line) -> str:
    if call.attribution_agent or call.agent_name:
        return call.attribution_agent or call.agent_name or ""
    return "sidechain" if call.is_sidechain else "main"
