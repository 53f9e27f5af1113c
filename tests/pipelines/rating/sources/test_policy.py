"""The cost policy: whose figure is charged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollbook.contracts import shipped_folder
from tollbook.errors import ReferenceDataError
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.sources.policy import CostPolicy, read_cost_policy


def test_the_example_prefers_the_routers_figure_alone() -> None:
    """The example is what people copy from."""
    policy = read_cost_policy(shipped_folder("schemas") / "examples" / "cost_policy" / "cost_policy.yml")
    assert policy.prefers_reported([("openrouter",), ("openai",), ()]).tolist() == [True, False, False]


def test_a_provider_is_meant_by_any_of_its_names(genai_catalogue: Catalogue) -> None:
    """A policy for `bedrock` that missed `aws` would be no policy, nor one that missed the price list's own rules."""
    for name in ("bedrock", "aws", "Amazon Bedrock"):
        policy = PriceBook.of(genai_catalogue, policy=CostPolicy(providers={name: "provider_reported"})).policy
        told = ("aws", "aws.bedrock", "AWS_Bedrock", "Amazon Bedrock", "azure")
        billed_by = [genai_catalogue.billed_by(each, "m") for each in told]
        assert policy.prefers_reported(billed_by).tolist() == [True, True, True, True, False]


def test_a_call_through_a_gateway_keeps_the_policy_of_the_provider_that_bills_it(genai_catalogue: Catalogue) -> None:
    """Its price is OpenAI's; charged by another policy than OpenAI's, one bill is charged in two ways."""
    policy = CostPolicy(providers={"openai": "provider_reported"})
    calls = [("litellm", "openai/gpt-4o"), ("litellm", "litellm_proxy/openai/gpt-4o"), ("litellm", "gpt-4o")]
    billed_by = [genai_catalogue.billed_by(*call) for call in calls]
    assert billed_by == [("openai", "litellm"), ("openai", "litellm_proxy", "litellm"), ("litellm",)]
    assert policy.prefers_reported(billed_by).tolist() == [True, True, False]


def test_a_gateways_own_figure_can_be_preferred_where_the_policy_names_no_biller(genai_catalogue: Catalogue) -> None:
    """It is the gateway that told the figure; who bills goes before it, as the more exact word."""
    policy = CostPolicy(providers={"litellm": "provider_reported", "anthropic": "rated"})
    calls = [("litellm", "openai/gpt-4o"), ("litellm", "anthropic/claude-sonnet-4-5"), ("openai", "gpt-4o")]
    billed_by = [genai_catalogue.billed_by(*call) for call in calls]
    assert policy.prefers_reported(billed_by).tolist() == [True, False, False]


def test_two_names_of_one_provider_may_not_be_preferred_differently(genai_catalogue: Catalogue) -> None:
    """Which of the two a call keeps would depend on how its reporter spells the provider."""
    policy = CostPolicy(providers={"aws": "rated", "Amazon Bedrock": "provider_reported"})
    with pytest.raises(ReferenceDataError, match="expected one preference for aws, got two"):
        PriceBook.of(genai_catalogue, policy=policy)


def test_the_default_may_be_turned_round_and_a_provider_back() -> None:
    """An organisation that lives by invoices trusts them, all but one."""
    policy = CostPolicy("provider_reported", {"anthropic": "rated"})
    assert policy.prefers_reported([("openai",), ("anthropic",), ()]).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("cost_policy: 1\nprefer: cheapest\n", 2, "prefer"),
        ("cost_policy: 2\n", 1, "cost_policy"),
        ("cost_policy: 1\nprefers: rated\n", 2, "prefers"),
        ("cost_policy: 1\nproviders:\n  aws: rated\n  bedrock: provider_reported\n", 4, "one preference for aws"),
        ("cost_policy: 1\nproviders:\n  aws: ours\n", 3, "aws"),
    ],
)
def test_a_malformed_policy_names_the_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    """A misspelt keyword decides nothing, so it is an error."""
    path = tmp_path / "cost_policy.yml"
    path.write_text(text)
    with pytest.raises(ReferenceDataError) as refusal:
        read_cost_policy(path)
    (fault,) = refusal.value.faults
    assert (fault.line, told in str(fault)) == (line, True)
