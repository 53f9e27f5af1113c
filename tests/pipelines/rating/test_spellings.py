"""Models as gateways and clouds write them lead to the provider that bills, or nowhere."""

from __future__ import annotations

import pytest

from tollbook.rating.catalogue import Catalogue


@pytest.mark.parametrize(
    ("provider", "model", "found"),
    [
        # Bedrock: ids, regional inference profiles, ARNs, LiteLLM's routes. Regional prices are the list's own.
        (
            "aws.bedrock",
            "anthropic.claude-3-sonnet-20240229-v1:0",
            "aws/regional.anthropic.claude-3-sonnet-20240229-v1:0",
        ),
        ("bedrock", "eu.meta.llama3-2-3b-instruct-v1:0", "aws/meta.llama3-2-3b-instruct-v1:0"),
        (
            "aws",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
            "aws/regional.anthropic.claude-sonnet-4-20250514-v1:0",
        ),
        (
            "aws",
            "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.titan-embed-text-v2:0",
            "aws/amazon.titan-embed-text-v2:0",
        ),
        ("bedrock_converse", "bedrock/converse/us.amazon.nova-lite-v1:0", "aws/amazon.nova-lite-v1:0"),
        ("bedrock", "bedrock/us-east-1/amazon.nova-lite-v1:0", "aws/amazon.nova-lite-v1:0"),
        # Vertex AI: resource names of publishers' models, versions behind an at sign.
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        (
            "vertex_ai",
            "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro",
            "google/gemini-2.5-pro",
        ),
        ("vertex_ai", "publishers/google/models/gemini-2.5-pro:streamGenerateContent", "google/gemini-2.5-pro"),
        ("vertex_ai", "claude-sonnet-4@20250514", "google/claude-4-sonnet"),
        ("vertex_ai", "publishers/anthropic/models/claude-sonnet-4-5@default", "google/claude-sonnet-4-5"),
        ("gemini", "models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        # Azure: what is sold there is OpenAI's.
        ("azure.ai.openai", "azure/gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("azure", "openai/gpt-4o", "openai/gpt-4o"),
        # Gateways: `provider/model`, the provider told or not.
        ("openai", "openai/gpt-4o", "openai/gpt-4o"),
        ("anthropic", "anthropic/claude-opus-4-5", "anthropic/claude-opus-4-5"),
        ("litellm", "vertex_ai/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("litellm_proxy", "bedrock/us.amazon.nova-pro-v1:0", "aws/amazon.nova-pro-v1:0"),
        ("litellm", "litellm_proxy/openai/gpt-4o", "openai/gpt-4o"),
        ("Portkey", "@openai/gpt-4o", "openai/gpt-4o"),
        ("openrouter", "openrouter/anthropic/claude-sonnet-4.5", "openrouter/anthropic/claude-sonnet-4.5"),
        ("groq", "groq/llama-3.3-70b-versatile", "groq/llama-3.3-70b-versatile"),
        ("x_ai", "xai/grok-4.3", "x-ai/grok-4.3"),
        # A name that the price list knows as it stands is never taken apart.
        ("groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"),
        ("openrouter", "openai/gpt-4o", "openrouter/openai/gpt-4o"),
    ],
)
def test_a_spelling_leads_to_the_price_of_who_bills(
    genai_catalogue: Catalogue, provider: str, model: str, found: str
) -> None:
    """A spelling that is not known is a model at no price; one that is guessed is a model at a wrong one."""
    model_found = genai_catalogue.find(provider, model)
    assert model_found is not None
    assert f"{model_found.provider}/{model_found.model}" == found


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("litellm", "gpt-4o"),
        ("litellm", ""),
        ("litellm", "/gpt-4o"),
        ("openai", "anthropic/claude-opus-4-5"),
        ("openai", "someone/gpt-4o"),
        ("aws", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/gpt4oclaude"),
        ("vertex_ai", "projects/p/locations/us-central1/endpoints/1234567890"),
        ("azure", "my-deployment"),
    ],
)
def test_what_names_nobody_who_bills_leads_nowhere(genai_catalogue: Catalogue, provider: str, model: str) -> None:
    """Made-up names need an alias; no provider is guessed from a model."""
    assert genai_catalogue.find(provider, model) is None
