"""What each factor of a bill did to its change, worked out with fifty decimal places.

By the method that the mart documents, and apart from it: the additive logarithmic-mean Divisia index, level by level:
tasks, calls of a task, tokens of a call, the share of each model, and what its tokens cost.

Source: B. W. Ang, "LMDI decomposition approach: a guide for implementation", Energy Policy 86 (2015).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final, NamedTuple

TASK_VOLUME: Final = "task_volume"
CALLS_PER_TASK: Final = "calls_per_task"
TOKENS_PER_CALL: Final = "tokens_per_call"
MODEL_MIX: Final = "model_mix"
PRICE: Final = "price"
_PRECISION: Final = 50
_ZERO: Final = Decimal(0)


@dataclass(slots=True)
class Side:
    """What one period has. Units: tasks, calls, Tokens, pico-USD.

    Attributes:
        tasks: Tasks.
        calls: Calls.
        tokens_of: Tokens by model.
        cost_of: Their cost by model.
    """

    tasks: int = 0
    calls: int = 0
    tokens_of: Counter[str] = field(default_factory=Counter)
    cost_of: Counter[str] = field(default_factory=Counter)

    def add(self, model: str, tokens: int, cost: int) -> None:
        """Count a call."""
        self.calls += 1
        self.tokens_of[model] += tokens
        self.cost_of[model] += cost

    @property
    def tokens(self) -> int:
        """Tokens of all models."""
        return self.tokens_of.total()

    @property
    def cost(self) -> int:
        """Cost of all models."""
        return self.cost_of.total()


class _Pair(NamedTuple):
    """A quantity before and after, zero or more."""

    before: Decimal
    after: Decimal


def effects_of(before: Side, after: Side) -> dict[str, int]:
    """Return what each factor did, in whole pico-USD that sum to the change of the cost.

    Each is the nearest whole number; what is then missing or left goes to the largest.
    """
    with localcontext(prec=_PRECISION, rounding=ROUND_HALF_EVEN):
        parts = _split_cost(before, after)
        rounded = {name: int(part.to_integral_value()) for name, part in parts.items()}
        left = after.cost - before.cost - sum(rounded.values())
        if left:
            rounded[max(parts, key=lambda name: abs(parts[name]))] += left
    return rounded


def _split_cost(before: Side, after: Side) -> dict[str, Decimal]:
    sides = (before, after)
    cost = _Pair(*(Decimal(side.cost) for side in sides))
    tasks = _Pair(*(Decimal(side.tasks) for side in sides))
    calls = _Pair(*(Decimal(side.calls) for side in sides))
    tokens = _Pair(*(Decimal(side.tokens) for side in sides))
    of_call = _over(cost, calls)
    (by_tasks, by_calls), _, scale = _split(Decimal(1), cost, (tasks, _over(calls, tasks)), of_call)
    (by_tokens,), _, scale = _split(scale, of_call, (_over(tokens, calls),), _over(cost, tokens))
    mix = price = _ZERO
    for model in sorted(before.cost_of.keys() | after.cost_of.keys()):
        cost_of_model = _Pair(*(Decimal(side.cost_of[model]) for side in sides))
        tokens_of_model = _Pair(*(Decimal(side.tokens_of[model]) for side in sides))
        (by_share,), by_price, _ = _split(
            scale,
            _over(cost_of_model, tokens),
            (_over(tokens_of_model, tokens),),
            _over(cost_of_model, tokens_of_model),
        )
        mix += by_share
        price += by_price
    return {TASK_VOLUME: by_tasks, CALLS_PER_TASK: by_calls, TOKENS_PER_CALL: by_tokens, MODEL_MIX: mix, PRICE: price}


def _split(
    scale: Decimal, product: _Pair, factors: tuple[_Pair, ...], rest: _Pair
) -> tuple[list[Decimal], Decimal, Decimal]:
    """Return what the factors of `product = factors x rest` did, what the rest did, and by what its change is scaled.

    Where one side of the product is zero, the first factor that is zero there takes all of the change.
    """
    if product.before and product.after:
        mean = _log_mean(product)
        effects = [scale * mean * _growth(each) for each in factors]
        return effects, scale * mean * _growth(rest), scale * mean / _log_mean(rest)
    change = scale * (product.after - product.before)
    effects = [_ZERO] * len(factors)
    appears = product.after > 0
    for place, each in enumerate(factors):
        if change and not (each.before if appears else each.after):
            effects[place] = change
            return effects, _ZERO, _ZERO
    if not change:
        return effects, _ZERO, _ZERO
    living = product.after / rest.after if appears else product.before / rest.before
    return effects, change, scale * living


def _log_mean(pair: _Pair) -> Decimal:
    if pair.before == pair.after:
        return pair.before
    return (pair.after - pair.before) / _growth(pair)


def _growth(pair: _Pair) -> Decimal:
    return (pair.after / pair.before).ln()


def _over(numerator: _Pair, denominator: _Pair) -> _Pair:
    return _Pair(*(top / below if below else _ZERO for top, below in zip(numerator, denominator, strict=True)))
