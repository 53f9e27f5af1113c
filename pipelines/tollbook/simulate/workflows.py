"""What kinds of work the organisation has its agents do, and how that changes.

A simulation has three phases: its first, second and last third of months. From one to the next, work moves to newer
and cheaper models, while agents make more calls, carry longer prompts and call more agents. When a model was launched
is not claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

from tollbook.simulate.distributions import (
    CHAT_INPUT,
    CHAT_OUTPUT,
    CONVERSATION_INPUT,
    CONVERSATION_OUTPUT,
    SESSION_CALLS,
    SESSION_FIRST_INPUT,
    SESSION_GROWTH,
    SESSION_OUTPUT,
    SUBAGENT_GROWTH,
    Quantiles,
)

PHASES = 3
Model = tuple[str, str]
"""Provider and model."""

Models = tuple[tuple[Model, int], ...]
"""Models and how often each is used, as weights."""

_FEW_CALLS: Quantiles = (1, 1, 1, 2, 3, 4, 7, 11, 14, 20, 30)
_ONE_CALL: Quantiles = (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
_SOME_CALLS: Quantiles = (4, 4, 5, 6, 9, 14, 22, 34, 42, 60, 80)
_NO_GROWTH: Quantiles = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

CACHE_NONE = "none"
CACHE_AUTOMATIC = "automatic"
CACHE_5M = "5m"
CACHE_1H = "1h"


@dataclass(frozen=True, slots=True)
class Workflow:
    """One kind of work.

    Attributes:
        name: Its name; None for calls that tell no workflow.
        team: Team as the caller writes it; None when it writes none.
        credential_id: Key it uses.
        project_id: Project at the provider.
        weights: How many tasks are begun in each phase, against the others.
        models: Models of the main agent in each phase.
        calls: Calls of the main agent in a task.
        first_input: Input of a task's first call. Unit: Tokens.
        growth: By how much the prompt grows from call to call. Unit: Tokens.
        output: Output of a call. Unit: Tokens.
        cache: How prompts are cached: one of the `CACHE_` names.
        purpose: What its calls are for.
        agent: Name of the main agent.
        environment: Where it runs.
        streamed: Whether its answers are streamed.
        reasoning_permille: Least and largest share of the output that is reasoning. Unit: Thousandths.
        spawns: In how many calls of each phase an agent calls others. Unit: Millionths.
        helpers: Models of the agents that are called, in each phase.
        embeds: Whether each call is preceded by an embedding of the question.
        searches: In how many calls the model searches the web. Unit: Millionths.
        prefers_batch: Whether it uses the batch tier where that has a price.
        call_scale: Share of `calls` in each phase. Unit: Percent.
        has_task: Whether its calls tell a task.
        product: Product that it serves; None for what the organisation does for itself.
        has_customers: Whether its calls tell the customer they are for.
        subscription_id: Plan whose seats its people have.
    """

    name: str | None
    team: str | None
    credential_id: str
    project_id: str
    weights: tuple[int, int, int]
    models: tuple[Models, Models, Models]
    calls: Quantiles
    first_input: Quantiles
    growth: Quantiles
    output: Quantiles
    cache: str = CACHE_AUTOMATIC
    purpose: str = "generation"
    agent: str = "assistant"
    environment: str = "production"
    streamed: bool = False
    reasoning_permille: tuple[int, int] = (0, 0)
    spawns: tuple[int, int, int] = (0, 0, 0)
    helpers: tuple[Models, Models, Models] | None = None
    embeds: bool = False
    searches: int = 0
    prefers_batch: bool = False
    call_scale: tuple[int, int, int] = (100, 100, 100)
    has_task: bool = True
    product: str | None = None
    has_customers: bool = False
    subscription_id: str | None = None


def _only(provider: str, model: str) -> Models:
    return (((provider, model), 1),)


_HAIKU = (
    _only("anthropic", "claude-haiku-4-5"),
    _only("anthropic", "claude-haiku-4-5"),
    _only("anthropic", "claude-haiku-5-5"),
)
_SMALL_OPENAI = (
    _only("openai", "gpt-5.4-mini"),
    _only("openai", "gpt-5.6-luna"),
    _only("openai", "gpt-6-luna"),
)
_FLASH = (
    _only("google", "gemini-3.5-flash"),
    _only("google", "gemini-3.6-flash"),
    _only("google", "gemini-3.6-flash"),
)
_LITE = (_only("google", "gemini-3.1-flash-lite"),) * 3
_TERRA = (_only("openai", "gpt-5.6-terra"),) * 3
_CODING: tuple[Models, Models, Models] = (
    ((("anthropic", "claude-sonnet-4-6"), 6), (("anthropic", "claude-opus-4-8"), 4)),
    ((("anthropic", "claude-sonnet-5"), 8), (("anthropic", "claude-opus-4-8"), 2)),
    ((("anthropic", "claude-sonnet-5-5"), 9), (("anthropic", "claude-opus-5-5"), 1)),
)
EMBEDDING_MODEL: Model = ("openai", "text-embedding-3-small")
EMBEDDING_INPUT: Quantiles = (4, 5, 6, 8, 12, 20, 45, 120, 300, 900, 2_000)
"""Input of an embedding of a question. Unit: Tokens."""

WORKFLOWS: tuple[Workflow, ...] = (
    Workflow(
        name="code-assistant",
        team="platform-engineering",
        credential_id="key-code-assistant",
        project_id="proj-engineering",
        weights=(7, 9, 12),
        models=_CODING,
        calls=SESSION_CALLS,
        first_input=SESSION_FIRST_INPUT,
        growth=SESSION_GROWTH,
        output=SESSION_OUTPUT,
        cache=CACHE_5M,
        agent="main",
        environment="development",
        streamed=True,
        spawns=(4_000, 10_000, 20_000),
        helpers=_HAIKU,
        call_scale=(30, 55, 100),
        subscription_id="assistant",
    ),
    Workflow(
        name="incident-triage",
        team="platform-engineering",
        credential_id="key-operations",
        project_id="proj-engineering",
        weights=(3, 4, 6),
        models=_CODING,
        calls=_SOME_CALLS,
        first_input=CONVERSATION_INPUT,
        growth=SESSION_GROWTH,
        output=SESSION_OUTPUT,
        cache=CACHE_1H,
        agent="triage",
        spawns=(0, 8_000, 20_000),
        helpers=_HAIKU,
        call_scale=(50, 75, 100),
    ),
    Workflow(
        name="support-chat",
        team="customer-care",
        credential_id="key-support",
        project_id="proj-customer",
        weights=(50, 46, 40),
        models=_SMALL_OPENAI,
        calls=_FEW_CALLS,
        first_input=CHAT_INPUT,
        growth=CHAT_OUTPUT,
        output=CHAT_OUTPUT,
        streamed=True,
    ),
    Workflow(
        name="ticket-summaries",
        team="customer-care",
        credential_id="key-support-batch",
        project_id="proj-customer",
        weights=(14, 14, 14),
        models=_LITE,
        calls=_FEW_CALLS,
        first_input=CHAT_INPUT,
        growth=_NO_GROWTH,
        output=CHAT_OUTPUT,
        cache=CACHE_NONE,
        agent="summariser",
        prefers_batch=True,
    ),
    Workflow(
        name="shopping-advisor",
        team="digital-channels",
        credential_id="key-shop",
        project_id="proj-commerce",
        weights=(22, 24, 26),
        models=_FLASH,
        calls=_FEW_CALLS,
        first_input=CHAT_INPUT,
        growth=CHAT_INPUT,
        output=CHAT_OUTPUT,
        streamed=True,
        embeds=True,
        product="shop",
    ),
    Workflow(
        name="market-research",
        team="research",
        credential_id="key-research",
        project_id="proj-research",
        weights=(2, 4, 8),
        models=(_only("openai", "gpt-5.6-sol"), _only("openai", "gpt-5.6-sol"), _only("openai", "gpt-6-sol")),
        calls=_SOME_CALLS,
        first_input=CONVERSATION_INPUT,
        growth=SUBAGENT_GROWTH,
        output=SESSION_OUTPUT,
        agent="lead-researcher",
        reasoning_permille=(200, 700),
        spawns=(15_000, 30_000, 50_000),
        helpers=_TERRA,
        searches=150_000,
        call_scale=(50, 75, 100),
        product="research-desk",
        has_customers=True,
    ),
    Workflow(
        name="invoice-extraction",
        team="finance-operations",
        credential_id="key-finance",
        project_id="proj-finance",
        weights=(16, 16, 16),
        models=_LITE,
        calls=_FEW_CALLS,
        first_input=CONVERSATION_INPUT,
        growth=_NO_GROWTH,
        output=CHAT_OUTPUT,
        cache=CACHE_NONE,
        agent="extractor",
        prefers_batch=True,
    ),
    Workflow(
        name="model-evaluation",
        team="data-science",
        credential_id="key-evaluation",
        project_id="proj-research",
        weights=(4, 5, 6),
        models=_TERRA,
        calls=_SOME_CALLS,
        first_input=CONVERSATION_INPUT,
        growth=_NO_GROWTH,
        output=CONVERSATION_OUTPUT,
        purpose="evaluation",
        agent="judge",
        environment="staging",
        reasoning_permille=(300, 800),
        prefers_batch=True,
    ),
    Workflow(
        name="contract-review",
        team="legal",
        credential_id="key-legal",
        project_id="proj-corporate",
        weights=(3, 3, 4),
        models=(_only("google", "gemini-3.1-pro-preview"),) * 3,
        calls=_FEW_CALLS,
        first_input=SESSION_FIRST_INPUT,
        growth=SESSION_GROWTH,
        output=CONVERSATION_OUTPUT,
        agent="reviewer",
        reasoning_permille=(100, 500),
        product="contract-check",
    ),
    Workflow(
        name="copywriting",
        team="marketing",
        credential_id="key-marketing",
        project_id="proj-commerce",
        weights=(9, 8, 8),
        models=_SMALL_OPENAI,
        calls=_FEW_CALLS,
        first_input=CHAT_INPUT,
        growth=CHAT_OUTPUT,
        output=CONVERSATION_OUTPUT,
        agent="writer",
    ),
)

UNOWNED_WORKFLOWS: tuple[Workflow, ...] = (
    Workflow(
        name="hackday-prototype",
        team=None,
        credential_id="key-shared-sandbox",
        project_id="proj-sandbox",
        weights=(1, 1, 2),
        models=(
            ((("nimbus", "nimbus-large-2"), 1), (("anthropic", "claude-haiku-4-5"), 2)),
            ((("nimbus", "nimbus-large-2"), 1), (("anthropic", "claude-haiku-4-5"), 2)),
            ((("nimbus", "nimbus-large-2"), 1), (("mistral", "atlas-prototype-1"), 2)),
        ),
        calls=_FEW_CALLS,
        first_input=CHAT_INPUT,
        growth=CHAT_OUTPUT,
        output=CHAT_OUTPUT,
        cache=CACHE_NONE,
        environment="development",
    ),
)
"""Workflows that no rule knows."""

NAMELESS_WORKFLOWS: tuple[Workflow, ...] = (
    Workflow(
        name=None,
        team=None,
        credential_id="key-ci-runner",
        project_id="proj-engineering",
        weights=(2, 2, 3),
        models=_HAIKU,
        calls=_FEW_CALLS,
        first_input=CONVERSATION_INPUT,
        growth=CHAT_INPUT,
        output=CHAT_OUTPUT,
        cache=CACHE_5M,
        agent="ci",
        environment="staging",
    ),
    Workflow(
        name=None,
        team="care-tools",
        credential_id="key-care-scripts",
        project_id="proj-scripts",
        weights=(2, 2, 2),
        models=_SMALL_OPENAI,
        calls=_ONE_CALL,
        first_input=CHAT_INPUT,
        growth=_NO_GROWTH,
        output=CHAT_OUTPUT,
        cache=CACHE_NONE,
        agent="script",
        has_task=False,
    ),
)
"""Calls that tell no workflow: their key, or the team they write, decides who owns them."""
