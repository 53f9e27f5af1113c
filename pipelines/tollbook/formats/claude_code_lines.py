"""What is read of a line of a Claude Code session file, and a line without its content.

A session file is `<folder>/<project>/<session>.jsonl`, or `…/<session>/subagents/agent-<id>.jsonl` for a subagent. A
line is one JSON object; `type` says what it tells. An `assistant` line holds one block of a model's answer with the
usage of the whole answer, so one answer stands on several lines. A `progress` line may hold a subagent's `assistant`
line, which the subagent's own file tells too.

Source: lines of Claude Code 1.0.55 to 2.1 as claude-code-log 1.7.0 publishes them; a log reference by jeremedia for
2.0.49; issues of ccstatusline and ccusage on answers that stand on several lines. Read 2026-11-25.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tollbook.errors import RejectedRecordError
from tollbook.formats.typed_json import read_typed
from tollbook.reference.dimensions import Dimensions, default_dimensions

SYNTHETIC: Final = "<synthetic>"
"""Model of lines that Claude Code writes itself, such as of an error: no model answered."""

LABELLED: Final = {
    "cwd": "cwd",
    "gitBranch": "git_branch",
    "entrypoint": "entrypoint",
    "userType": "user_type",
    "teamName": "team_name",
    "agentId": "agent_id",
}
"""Attribute that a dimension rule may ask for, `attribute:<name>`, to where a line is read into."""

_CALLS: Final = frozenset({"assistant", "progress"})
_KNOWN_TYPES: Final = frozenset(
    {"user", "system", "summary", "progress", "attachment", "file-history-snapshot", "queue-operation", "turn_end"}
    | {"custom-title", "ai-title", "last-prompt", "permission-mode", "agent-name", "pr-link", "mode"}
)
_WORD: Final = re.compile(r"[\w.:@/+-]{0,128}", re.ASCII)


NO_USAGE: Final = msgspec.Raw()


class Message(msgspec.Struct, omit_defaults=True, gc=False):
    """A message as the API gave it. It has no field for content."""

    id: str | None = None
    model: str | None = None
    stop_reason: str | msgspec.UnsetType | None = msgspec.UNSET
    usage: msgspec.Raw = NO_USAGE


class Line(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """A line. It has no field for content, and none for who the user is."""

    type: str | None = None
    session_id: str | None = msgspec.field(default=None, name="sessionId")
    uuid: str | None = None
    is_sidechain: bool | None = msgspec.field(default=None, name="isSidechain")
    agent_id: str | None = msgspec.field(default=None, name="agentId")
    attribution_agent: str | None = msgspec.field(default=None, name="attributionAgent")
    agent_name: str | None = msgspec.field(default=None, name="agentName")
    team_name: str | None = msgspec.field(default=None, name="teamName")
    cwd: str | None = None
    git_branch: str | None = msgspec.field(default=None, name="gitBranch")
    entrypoint: str | None = None
    user_type: str | None = msgspec.field(default=None, name="userType")
    version: str | None = None
    timestamp: str | None = None
    request_id: str | None = msgspec.field(default=None, name="requestId")
    is_api_error: bool | None = msgspec.field(default=None, name="isApiErrorMessage")
    message: Message | None = None
    data: Progress | None = None
    labels: dict[str, str] | None = None


class Progress(msgspec.Struct, omit_defaults=True, gc=False):
    """What a `progress` line tells: of a subagent, the line that it wrote."""

    message: Line | None = None


class _Glimpse(msgspec.Struct):
    type: Any = None


Decode = Callable[[Any], Line]
"""Reads a line's bytes into its shape."""

decode_line: Final[Decode] = msgspec.json.Decoder(Line).decode
_glimpse: Final = msgspec.json.Decoder(_Glimpse).decode
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def read_line(value: bytes, **options: Any) -> Line:
    """Return a line in its shape; of a type that tells of no call only the type need be right.

    Args:
        value: The line.
        options: As for `read_typed`.

    Raises:
        RejectedRecordError: It is not one JSON object, or one that tells of a call has fields of other types.
    """
    try:
        return read_typed(value, decode_line, **options)
    except RejectedRecordError as error:
        if error.reason != "wrong_type":
            raise
        told = read_typed(value, _glimpse, **options).type
        if not isinstance(told, str) or told in _CALLS:
            raise
        return Line(type=told)


def call_of(line: Line) -> Line | str:
    """Return the line that tells of a call, the subagent's within a progress line; or why there is none."""
    if line.type == "progress":
        inner = None if line.data is None else line.data.message
        if inner is None or inner.type != "assistant":
            return "progress_line"
        return _inherited(inner, line)
    if line.type != "assistant":
        known = line.type is not None and line.type in _KNOWN_TYPES
        return f"{str(line.type).replace('-', '_')}_line" if known else "other_line"
    return line


def silence_of(call: Line) -> str | None:
    """Return why an assistant line tells of no call, None when it does."""
    message = call.message
    if message is None or bytes(message.usage) in {b"", b"null"}:
        return "no_usage"
    if message.model == SYNTHETIC:
        return "api_error_line" if call.is_api_error else "synthetic_line"
    return None


def strip_line(
    value: bytes, dimensions: Dimensions | None = None, labels: Mapping[str, str] | None = None
) -> tuple[bytes, Line] | str:
    """Return a line without its content, and what was read of it; or why it tells of no call.

    Folder, branch and the like can name people and customers: they stay only where a dimension rule asks for them.

    Args:
        value: The line.
        dimensions: The organisation's rules, by default the shipped ones.
        labels: What to say beside of whom the calls were for, which the rules read as `metadata:<key>`.

    Raises:
        RejectedRecordError: It is not one JSON object, or not in the shape; its content cannot be told apart.
    """
    call = call_of(read_line(value))
    if isinstance(call, str):
        return call
    silence = silence_of(call)
    if silence is not None:
        return silence
    wanted = (dimensions or default_dimensions()).wanted("attribute")
    for name, place in LABELLED.items():
        if name not in wanted and place != "agent_id":
            setattr(call, place, None)
    call.data = None
    call.labels = {**(call.labels or {}), **labels} if labels else call.labels
    if call.message is not None:
        call.message.usage = plain_usage(call.message.usage)
    return _encode(call), call


def plain_usage(usage: msgspec.Raw) -> msgspec.Raw:
    """Return a usage object with its numbers and single words: longer texts are nobody's usage."""
    return msgspec.Raw(_encode(_plain(_decode(usage))))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _plain(each) for name, each in value.items() if _WORD.fullmatch(name)}
        return {name: each for name, each in kept.items() if each is not msgspec.UNSET}
    if isinstance(value, list):
        return [each for each in map(_plain, value) if each is not msgspec.UNSET]
    if isinstance(value, str) and not _WORD.fullmatch(value):
        return msgspec.UNSET
    return value


def _inherited(inner: Line, outer: Line) -> Line:
    """Return a subagent's line with what only the line around it says."""
    inner.session_id = inner.session_id or outer.session_id
    inner.version = inner.version or outer.version
    inner.timestamp = inner.timestamp or outer.timestamp
    inner.cwd, inner.git_branch = inner.cwd or outer.cwd, inner.git_branch or outer.git_branch
    inner.labels = inner.labels or outer.labels
    inner.is_sidechain = True
    return inner
