"""What people read of effects, purposes and rules: a name, and what is meant by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

UNIT_COST: Final = "unit_cost"
TASKS: Final = "tasks"
TOKENS_PER_TASK: Final = "tokens_per_task"
ELSE: Final = "else"

EFFECTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "task_volume": ("Number of tasks", TASKS, "More or fewer tasks; a call without a task counts as one."),
    "calls_per_task": ("Calls per task", TOKENS_PER_TASK, "A task took more or fewer calls."),
    "tokens_per_call": ("Tokens per call", TOKENS_PER_TASK, "A call took more or fewer tokens."),
    "model_mix": ("Model mix", UNIT_COST, "Tokens moved between models that cost more and less."),
    "service_tier_mix": ("Service tier mix", UNIT_COST, "Tokens moved between service tiers of a model."),
    "input_output_mix": ("Input and output mix", UNIT_COST, "Tokens moved between what is read and what is written."),
    "cache_mix": ("Cache mix", UNIT_COST, "Tokens moved between cached and other input."),
    "price": ("Price", UNIT_COST, "The same kind of token of the same model and tier cost something else."),
    "other_units": ("Other units", ELSE, "What is bought by the piece and has no tokens."),
    "new_workflow": ("New workflows", ELSE, "Workflows that only the later period has."),
    "retired_workflow": ("Retired workflows", ELSE, "Workflows that only the earlier period has."),
    "moved_workflow": ("Moved workflows", ELSE, "Workflows that came from another team, or went to one."),
    "unknown_price": ("Known prices", ELSE, "More or less of the usage has a known cost, or an estimate for one."),
    "period_charge": ("Shared charges", ELSE, "Platforms, plans, fleets, commitments: what no call bears by itself."),
    "correction": ("Corrections", ELSE, "Corrections of closed periods, and amounts that an approver moved."),
}
"""Effect, in the order of a bridge, to its name, the question that it answers, and what it is."""

GROUPS: Final[Mapping[str, str]] = {
    UNIT_COST: "what a token costs",
    TASKS: "the number of tasks",
    TOKENS_PER_TASK: "tokens per task",
    ELSE: "all else",
}
"""Question that an effect answers, and how a sentence calls it."""

PURPOSES: Final[Mapping[str, tuple[str, str]]] = {
    "generation": ("Raw inference", "What the callers asked for, first time and to the end."),
    "context": ("Context carried again", "Tokens that an earlier call of the task had already sent."),
    "retrieval": ("Retrieval", "Looking up what goes into a prompt."),
    "embedding": ("Embedding", "Turning text into vectors."),
    "guardrail": ("Guardrails", "Checks of what goes in and comes out."),
    "evaluation": ("Evaluation", "Models that judge what models made."),
    "retry": ("Retries", "Calls that repeat an earlier attempt."),
    "aborted": ("Aborted calls", "Calls that did not end well, and were paid for."),
    "cache_write_unread": ("Cache writes never read", "What writing to a cache cost above plain input, for nothing."),
    "other": ("Other", "Told to be for something else."),
}
"""Purpose, raw inference first and then in the order of a stack, to its name and what it is."""

RULES: Final[Mapping[str, str]] = {
    "purpose_told": "the caller told the purpose",
    "operation_told": "the kind of operation tells the purpose",
    "nothing_told": "nothing was told, so it counts as raw inference",
    "repeats_an_attempt": "the call's attempt number is above one",
    "did_not_end_well": "the call ended in an error, a cancellation or a timeout",
    "carried_again": "an earlier call of the task and model had the tokens in its context",
    "written_and_not_read": "no later call of the task and model read a cache within an hour",
}
"""Rule that classified a cost, in words."""

BY_TOKENS: Final = "a price was not known, so every token bears the same"
"""What the ending `_by_tokens` of a rule says."""

REASONS: Final[Mapping[str, str]] = {
    "no_product_of_its_own": "charges that no call bears",
    "no_known_cost": "no call has a known price",
    "no_product_told": "the calls name no product",
    "no_revenue_told": "no revenue is told",
    "no_exchange_rate": "the revenue's currency has no exchange rate",
    "no_revenue": "the revenue is zero",
}
"""Why a product has no points of margin, in words."""
