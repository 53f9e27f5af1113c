"""The formats that records come in, by name, and which of them a topic or a record has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

from tollbook.errors import MisuseError

if TYPE_CHECKING:
    from tollbook.formats.decoder import Decoder
    from tollbook.reference.dimensions import Dimensions

NATIVE: Final = "native"
USAGE_TOPIC: Final = "llm.usage"


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: Its name: what a topic is called by, `llm.usage.<name>`, and what a record's header says.
        title: What it is, in a few words.
        decoder: Where its decoder is, as `module:class`: it is imported when the first record needs it.
    """

    name: str
    title: str
    decoder: str

    def make(self, dimensions: Dimensions | None = None) -> Decoder:
        """Return a new decoder of the format; it reads dimensions by the given rules, or by the shipped ones."""
        module, _, name = self.decoder.partition(":")
        made: Decoder = getattr(import_module(module), name)(dimensions=dimensions)
        return made


_FORMATS: Final = (
    Format(NATIVE, "usage events as flat JSON", "tollbook.formats.native:NativeDecoder"),
    Format("cloudevents", "CloudEvents 1.0, structured and binary", "tollbook.formats.cloudevents:CloudEventsDecoder"),
    Format("otlp_traces", "OpenTelemetry spans, JSON or protobuf", "tollbook.formats.otlp:TracesDecoder"),
    Format("otlp_logs", "OpenTelemetry log records, JSON or protobuf", "tollbook.formats.otlp:LogsDecoder"),
    Format("otlp_metrics", "OpenTelemetry metrics: counted, never usage", "tollbook.formats.otlp:MetricsDecoder"),
    Format("litellm", "LiteLLM's StandardLoggingPayload", "tollbook.formats.litellm:LiteLlmDecoder"),
    Format("claude_code", "session files of Claude Code", "tollbook.formats.claude_code:ClaudeCodeDecoder"),
    Format(
        "provider_response",
        "a provider's response body, wrapped with who asked",
        "tollbook.formats.provider_response:ProviderResponseDecoder",
    ),
)
FORMATS: Final[Mapping[str, Format]] = {each.name: each for each in _FORMATS}


def format_named(name: str) -> Format:
    """Return a format by its name.

    Raises:
        MisuseError: There is none of that name.
    """
    if name not in FORMATS:
        raise MisuseError(f"expected a format of {', '.join(FORMATS)}, got {name!r}")
    return FORMATS[name]


def format_of_topic(topic: str) -> str:
    """Return the format of a topic that is not told one: `llm.usage.<format>` has its own, all others are native."""
    name = topic.removeprefix(f"{USAGE_TOPIC}.")
    return name if name != topic and name in FORMATS else NATIVE
