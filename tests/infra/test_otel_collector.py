"""The Collector's configuration fits the formats: topics, encodings, sizes, and what it drops."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tollbook.broker.ports import PREFERRED_PORT
from tollbook.broker.properties import MAX_MESSAGE_BYTES
from tollbook.formats.otlp.decoder import DIALECTS, MAX_EXPORT_BYTES
from tollbook.formats.registry import FORMATS, format_of_topic
from tollbook.formats.telemetry.item import is_content
from tollbook.formats.usage import load_table

COLLECTOR = Path(__file__).resolve().parents[2] / "infra" / "otel-collector" / "collector.yaml"


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """Return the configuration."""
    parsed: dict[str, Any] = yaml.safe_load(COLLECTOR.read_text(encoding="utf-8"))
    return parsed


@pytest.fixture(scope="module")
def dropped(config: dict[str, Any]) -> re.Pattern[str]:
    """Return the expression that drops attributes of spans; Go's and Python's dialect agree on what it uses."""
    (statement,) = config["processors"]["transform/content"]["trace_statements"][0]["statements"]
    found = re.fullmatch(r'delete_matching_keys\(attributes, "(.*)"\)', statement)
    assert found is not None
    return re.compile(found[1].replace("\\\\", "\\"))


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_each_topic_has_the_format_of_its_signal_in_an_encoding_that_is_read(
    signal: str, config: dict[str, Any]
) -> None:
    """A topic by another name would be read as native JSON, and every record of it rejected."""
    exporter = config["exporters"]["kafka"][signal]
    assert format_of_topic(exporter["topic"]) == f"otlp_{signal}"
    assert f"otlp_{signal}" in FORMATS
    assert exporter["encoding"] in {"otlp_proto", "otlp_json"}


def test_the_largest_record_is_one_that_topic_and_decoder_take(config: dict[str, Any]) -> None:
    """A batch that the exporter sends and the meter refuses would be lost usage."""
    assert config["exporters"]["kafka"]["producer"]["max_message_bytes"] <= MAX_EXPORT_BYTES <= MAX_MESSAGE_BYTES


def test_it_listens_on_loopback_and_reaches_the_embedded_broker(config: dict[str, Any]) -> None:
    """It asks for no password, so it must not be on the network."""
    for protocol in config["receivers"]["otlp"]["protocols"].values():
        assert protocol["endpoint"].startswith("127.0.0.1:")
    assert config["exporters"]["kafka"]["brokers"] == [
        f"${{env:TOLLBOOK_BOOTSTRAP_SERVERS:-127.0.0.1:{PREFERRED_PORT}}}"
    ]


def test_nothing_is_sampled_given_up_or_named_that_is_not_there(config: dict[str, Any]) -> None:
    """Sampled or dropped spans are no ledger; metrics would say it all twice."""
    pipelines = config["service"]["pipelines"]
    assert set(pipelines) == {"traces", "logs"}
    for pipeline in pipelines.values():
        assert pipeline["processors"] == ["memory_limiter", "transform/content", "batch"]
        assert all(name in config["processors"] for name in pipeline["processors"])
        assert pipeline["receivers"] == ["otlp"]
        assert pipeline["exporters"] == ["kafka"]
    exporter = config["exporters"]["kafka"]
    assert exporter["producer"]["required_acks"] == -1
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert exporter["sending_queue"]["storage"] in config["extensions"]
    assert config["service"]["extensions"] == list(config["extensions"])


def test_content_is_dropped_before_it_reaches_a_topic(dropped: re.Pattern[str]) -> None:
    """A topic keeps what is put on it for a month."""
    content = (
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.prompt",
        "gen_ai.prompt.0.content",
        "gen_ai.completion.0.content",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.definitions",
        "traceloop.entity.input",
        "input.value",
        "output.value",
        "http.request.header.authorization",
        "prompt",
        "tool_parameters",
    )
    for key in content:
        assert dropped.search(key), key
        assert is_content(key), key


def test_nothing_that_is_read_is_dropped(dropped: re.Pattern[str]) -> None:
    """A count that is dropped here is a call for nothing there."""
    flavours = load_table().flavours
    read = {key for each in DIALECTS for key in each.attributes}
    read |= {name for each in DIALECTS for flavour in each.flavours for name in flavours[flavour].counted}
    assert {key for key in read if dropped.search(key)} == set()
