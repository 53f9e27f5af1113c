"""One name for a model, however a price list writes it."""

from __future__ import annotations

import pytest

from tollbook.rating.model_names import ModelName, model_name


@pytest.mark.parametrize(
    "written",
    [
        "claude-3-5-haiku-20241022",
        "us.anthropic.claude-3-5-haiku-20241022-v1:0",
        "anthropic.claude-3-5-haiku-20241022-v1:0",
        "vertex_ai/claude-3-5-haiku@20241022",
        "openrouter/anthropic/Claude-3-5-Haiku-20241022",
    ],
)
def test_who_serves_a_model_is_no_part_of_its_name(written: str) -> None:
    """Prices of one model at several providers are compared by it."""
    assert model_name(written) == ModelName("claude-3-5-haiku-20241022", "claude-3-5-haiku", "20241022")


@pytest.mark.parametrize(
    ("written", "undated", "snapshot"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o", "20240806"),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo", "0125"),
        ("mistral-large-2407", "mistral-large", "2407"),
        ("gpt-4o", "gpt-4o", None),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku", None),
        ("gemma-7b-8192", "gemma-7b-8192", None),
        ("llama-3.1-405b", "llama-3.1-405b", None),
        ("openai/o3", "o3", None),
        ("gemini-2.5-pro", "gemini-2.5-pro", None),
    ],
)
def test_a_snapshot_is_a_date_and_nothing_else(written: str, undated: str, snapshot: str | None) -> None:
    """A size or a length of context at the end of a name is no date."""
    name = model_name(written)

    assert (name.undated, name.snapshot) == (undated, snapshot)
