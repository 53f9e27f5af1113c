"""Classes of models and their generations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollbook.contracts import shipped_folder
from tollbook.errors import ReferenceDataError
from tollbook.rating.generations import Generation, load_generations
from tollbook.rating.model_names import model_name
from tollbook.rating.units import load_document


@pytest.mark.parametrize(
    ("model", "family", "generation"),
    [
        ("gpt-4-turbo", "gpt", "gpt-4-turbo"),
        ("gpt-4-1106-preview", "gpt", "gpt-4-turbo"),
        ("gpt-4o-2024-08-06", "gpt", "gpt-4o"),
        ("azure/gpt-4o", "gpt", "gpt-4o"),
        ("gpt-4o-mini", "gpt-mini", "gpt-4o-mini"),
        ("o3", "openai-reasoning", "o3"),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", "claude-haiku", "claude-3.5-haiku"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet", "4-5"),
        ("claude-3-5-sonnet-20241022", "claude-sonnet", "3-5"),
        ("gemini-2.5-flash", "gemini-flash", "2.5"),
        ("gemini-2.5-flash-lite", "gemini-flash-lite", "2.5"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-70b-instruct", "3.3"),
        ("mistral-large-2407", "mistral-large", "mistral-large"),
        ("own-model", "own-model", "own-model"),
    ],
)
def test_a_model_has_a_class_and_a_generation(model: str, family: str, generation: str) -> None:
    """The size of a model is its class, its number the generation."""
    assert load_generations().find(model) == Generation(family, generation)


def test_no_name_of_the_file_is_hidden_by_how_names_are_read() -> None:
    """A name with a snapshot or a route would never be found."""
    for body in load_document("model_generations").values():
        for generation in body["generations"]:
            for model in generation["models"]:
                assert model_name(model.replace("*", "x")).undated == model.replace("*", "x"), model
    assert (shipped_folder("schemas") / "model_generations.yml").is_file()


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """A misspelt key says nothing, and nobody would see it."""
    path = tmp_path / "model_generations.yml"
    path.write_text("gpt:\n  description: d.\n  generation: []\n  generations: [{generation: a, models: [b]}]\n")

    with pytest.raises(ReferenceDataError, match=r"model_generations\.yml:3: gpt/generation"):
        load_document("model_generations", path=path)
