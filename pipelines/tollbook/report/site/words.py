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

MEASURES: Final[Mapping[str, str]] = {"list_cost": "List cost", "total_tokens": "Tokens", "calls": "Calls"}
"""Measure of what customers have, the weightiest first, to its name."""

EXPECTED: Final = "expected"
FLAT_PRICES: Final = "flat_prices"
"""Scenarios of a forecast that are always there."""

METHODS: Final[Mapping[str, str]] = {
    "mean": "mean of the last four weeks",
    "seasonal_week": "the last week again",
    "last_value": "the last day again",
    "weekday_mean": "mean of each weekday over four weeks",
    "damped_trend": "a level and a trend that fades",
    "damped_growth": "a level and a growth that fades",
}
"""How counts go on, in words."""

FORECAST_REASONS: Final[Mapping[str, str]] = {
    "too_little_history": "less than two weeks of history",
    "no_known_price": "no usage with a known price in the last four weeks",
    "no_recent_usage": "no usage in the last four weeks",
    "short_history": "less than four weeks of history: the last week is repeated, untested",
    "nothing_to_test_by": "no known cost in the weeks held out, or before them: untested",
    "no_known_price_of_move": "the price of a model that usage moves to or from is not known",
    "only_assumed": "no usage of its own yet: all of it is assumed",
}
"""Why there is no forecast, or no tested one, in words."""

PATHS: Final[Mapping[str, str]] = {
    "model_api": "Model API",
    "hyperscaler": "Hyperscaler",
    "neo_cloud": "Neo-cloud",
    "on_prem": "Own hardware",
    "unknown": "Unknown path",
}
"""Path of inference to its name, in the order of a chart."""

COST_KINDS: Final[Mapping[str, str]] = {
    "observed": "as bought",
    "metered": "offer by the token",
    "rented": "rented instances",
    "owned": "owned instances",
    "fleet": "the fleet",
}
"""What a path's cost is made of, in words."""

EXCLUDED: Final[Mapping[str, str]] = {
    "residency": "a rule of residency forbids it",
    "no_region_told": "a rule of residency names regions, and none is told",
    "no_offer": "there is no offer",
    "no_known_cost": "its calls have no known price",
    "no_tokens": "no tokens were used",
    "no_exchange_rate": "the offer's currency has no exchange rate",
    "no_fleet_cost": "the fleet's cost is not known",
    "other_model": "the offer is of another model",
    "model_not_servable": "the model cannot be served there",
    "no_model_told": "no model to serve is told",
    "no_throughput_told": "no throughput is told",
    "no_utilisation_told": "no utilisation is told",
}
"""Why nothing is told of a path, in words."""

BREAK_EVEN: Final[Mapping[str, str]] = {
    "is_the_model_api": "it is what the others are held against",
    "no_fixed_cost": "tokens are paid one by one",
    "no_model_api_cost": "the model API has no cost to be held against",
    "never": "out of reach at the planned utilisation",
}
"""Why a path has no break-even volume, in words."""

CAVEATS: Final[Mapping[str, str]] = {
    "another_model": "another model would serve it: its quality is not compared",
    "full_load_benchmark": "a benchmark in batches at full load: production does less and costs more",
    "estimated_throughput": "throughput is an estimate",
    "prompts_not_counted": "throughput is of output alone: longer prompts cost more",
    "beyond_the_fleet": "more instances than the fleet has",
    "price_over_a_year_old": "the price was read more than a year before",
    "unpriced_tokens": "some tokens have no known price and are taken to cost as the others do",
    "path_not_told": "calls that tell no path and have a price count as bought from a model API",
    "part_of_the_period": "usage is of a part of the billing period, and so is the cost",
}
"""What a path's cost rests on, in words."""
