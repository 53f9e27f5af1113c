"""What it costs to run a workload on instances of accelerators, and from which use on that is cheaper than a model API.

Instances are whole and are paid for through the whole billing period. All is exact; nothing is rounded here but counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

_MONTHS = 12
_MOST_TOKENS = 10**18
_MOST_MONTHS = 1200


@dataclass(frozen=True, slots=True)
class Running:
    """A workload on instances of one kind.

    Attributes:
        instance_cost: Cost of one instance for a whole billing period. Unit: USD.
        instance_seconds: Time that one instance at full load needs for all tokens of the workload. Unit: Seconds.
        tokens: Input and output tokens of the workload, above zero. Unit: Tokens.
        period_seconds: How long the billing period is. Unit: Seconds.
        covered_seconds: How much of it the tokens are of, above zero. Unit: Seconds.
        planned_utilisation: Share of the time at full load that is used on average at the most, above 0 up to 1.
        minimum_instances: Instances that are paid for in any case, 1 or more.
    """

    instance_cost: Fraction
    instance_seconds: Fraction
    tokens: int
    period_seconds: Fraction
    covered_seconds: Fraction
    planned_utilisation: Fraction
    minimum_instances: int = 1

    @property
    def instances(self) -> int:
        """Instances that the tokens need at the planned utilisation, whole."""
        needed = self.instance_seconds / (self.covered_seconds * self.planned_utilisation)
        return max(self.minimum_instances, ceil(needed))

    @property
    def cost(self) -> Fraction:
        """Cost of the instances for the time that the tokens are of. Unit: USD."""
        return self.instances * self.instance_cost * self.covered_seconds / self.period_seconds

    @property
    def utilisation(self) -> Fraction:
        """Share of the instances' time at full load that the tokens need; at most the planned one."""
        return self.instance_seconds / (self.instances * self.covered_seconds)

    def break_even_utilisation(self, price: Fraction) -> Fraction | None:
        """Return the share of an instance's time at full load from which on its tokens cost no more than at an API.

        More than the planned utilisation, and above all more than 1, means that it never gets there.

        Args:
            price: What a token costs at the API. Unit: USD/Token.

        Returns:
            The share; None where tokens are free at the API.
        """
        if price <= 0:
            return None
        return self.instance_cost * self.instance_seconds / (self.tokens * price * self.period_seconds)

    def break_even_tokens(self, price: Fraction) -> int | None:
        """Return the fewest tokens of a billing period that cost no less at an API than on the least instances.

        Beyond what these can do, each further instance has to earn its cost in the same way.

        Args:
            price: What a token costs at the API. Unit: USD/Token.

        Returns:
            Tokens of the workload's kind; None where as many would need more instances than they pay for, or where
            they are more than 10^18.
        """
        needed = self.break_even_utilisation(price)
        if needed is None or needed > self.planned_utilisation:
            return None
        tokens = ceil(self.minimum_instances * self.instance_cost / price)
        return tokens if tokens <= _MOST_TOKENS else None


@dataclass(frozen=True, slots=True)
class Owned:
    """An instance that is bought.

    Attributes:
        purchase_price: What it costs. Unit: USD.
        residual_value: What is left of it in the end. Unit: USD.
        life_months: Months of use, 1 or more.
        running_cost: What it costs in a billing period beside that. Unit: USD.
    """

    purchase_price: Fraction
    residual_value: Fraction
    life_months: int
    running_cost: Fraction

    def period_cost(self, life_months: int | None = None) -> Fraction:
        """Return what it costs in a billing period, by its life or another one. Unit: USD."""
        spread = self.purchase_price - self.residual_value
        return spread / (life_months or self.life_months) + self.running_cost

    def payback_months(self, running: Running, price: Fraction) -> int | None:
        """Return after how many billing periods of the same usage it has saved what it cost; None for never.

        What takes more than a hundred years is never.

        Args:
            running: The workload on it.
            price: What a token costs at the API. Unit: USD/Token.
        """
        api_cost = price * running.tokens * running.period_seconds / running.covered_seconds
        saved = api_cost - running.instances * self.running_cost
        months = running.instances * self.purchase_price / saved if saved > 0 else Fraction(_MOST_MONTHS + 1)
        return ceil(months) if months <= _MOST_MONTHS else None


def price_left(decline_per_year: Fraction, months: int) -> Fraction:
    """Return what is left of a price on average over months in which it falls by a share at the end of each year.

    Args:
        decline_per_year: Share by which it falls, from 0 up to 1.
        months: How long, 1 or more.
    """
    return sum((1 - decline_per_year) ** (month // _MONTHS) for month in range(months)) / Fraction(months)
