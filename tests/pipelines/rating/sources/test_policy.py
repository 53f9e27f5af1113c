"""The cost policy: whose figure is charged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollbook.contracts import shipped_folder
from tollbook.errors import ReferenceDataError
from tollbook.rating.sources.policy import CostPolicy, read_cost_policy


def test_the_example_prefers_the_routers_figure_alone() -> None:
    """The example is what people copy from."""
    policy = read_cost_policy(shipped_folder("schemas") / "examples" / "cost_policy" / "cost_policy.yml")
    assert policy.prefers_reported(["openrouter", "openai", None]).tolist() == [True, False, False]


def test_a_provider_is_meant_by_any_of_its_names() -> None:
    """A policy for `bedrock` that missed `aws` would be no policy."""
    policy = CostPolicy(providers={"bedrock": "provider_reported"})
    assert policy.prefers_reported(["aws", "aws.bedrock", "AWS_Bedrock", "azure"]).tolist() == [True, True, True, False]


def test_the_default_may_be_turned_round_and_a_provider_back() -> None:
    """An organisation that lives by invoices trusts them, all but one."""
    policy = CostPolicy("provider_reported", {"anthropic": "rated"})
    assert policy.prefers_reported(["openai", "anthropic", None]).tolist() == [True, False, True]


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
