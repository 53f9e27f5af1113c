"""OTLP exports as an OpenTelemetry Collector puts them on Kafka: JSON or protobuf, many spans or log records each.

`wire_json` and `wire_protobuf` read the bytes into items; `decoder` gives each item to the dialect of its tool. What is
no model call is ignored with one of these reasons:

    no_model_call       a span or log record that tells of no model
    rollup_span         usage that spans of single model calls tell too: agents, workflows, tools, frameworks
    told_by_usage_span  OpenClaw's tree of runs and model calls: `openclaw.model.usage` tells their tokens
    told_by_event       spans of Claude Code: the event `claude_code.api_request` tells their tokens
    told_by_span        GenAI log events: the span of the call tells the same
    other_event         an event of a coding agent that is no answered model call
    other_convention    spans of OpenInference, which are not read
    metric              counters and histograms: they add up what events and spans tell
    empty_export        an export of nothing
"""

from tollbook.formats.otlp.decoder import LogsDecoder, MetricsDecoder, OtlpDecoder, TracesDecoder

__all__ = ["LogsDecoder", "MetricsDecoder", "OtlpDecoder", "TracesDecoder"]
