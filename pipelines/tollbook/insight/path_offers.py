"""What is known of inference elsewhere in a billing period: offers in USD, figures of throughput, workloads, rules."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Final

from tollbook.insight.path_running import Owned

MODEL_API, HYPERSCALER, NEO_CLOUD, ON_PREM = "model_api", "hyperscaler", "neo_cloud", "on_prem"
PATHS: Final = (MODEL_API, HYPERSCALER, NEO_CLOUD, ON_PREM)
"""In the order in which equals are taken."""
OBSERVED, METERED, RENTED, OWNED, FLEET = "observed", "metered", "rented", "owned", "fleet"
MEASURED, BENCHMARK, ESTIMATE = "measured", "benchmark", "estimate"
UNKNOWN: Final = "unknown"
RESIDENCY, NO_REGION, NO_EXCHANGE_RATE, NO_FLEET_COST = (
    *("residency", "no_region_told", "no_exchange_rate", "no_fleet_cost"),
)

_BASES: Final = (MEASURED, BENCHMARK, ESTIMATE)


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """Prices of a model by the token. Unit: USD/Token."""

    model: str
    input: Fraction
    cache_read: Fraction
    cache_write: Fraction
    output: Fraction


@dataclass(frozen=True, slots=True)
class Instance:
    """Accelerators that are paid for by time.

    Attributes:
        accelerator: Their type.
        accelerators: How many one instance has.
        period_cost: Cost of one instance for a whole billing period. Unit: USD.
        owned: What it was bought for, where it was.
        at_hand: Instances that there are, where that is known.
    """

    accelerator: str
    accelerators: int
    period_cost: Fraction
    owned: Owned | None = None
    at_hand: int | None = None


@dataclass(frozen=True, slots=True)
class PathOffer:
    """A way to run inference on a path.

    Attributes:
        offer_id: Its name.
        path: One of `PATHS`.
        kind: `metered`, `rented`, `owned` or `fleet`.
        vendor: Who sells or runs it.
        region: Where; None where not told.
        instance_name: What is rented or bought, as the vendor names it.
        source: Where its price was read.
        observed_on: When.
        terms: What it costs; where that is not known in USD, the reason.
    """

    offer_id: str
    path: str
    kind: str
    vendor: str
    region: str | None
    instance_name: str | None
    source: str
    observed_on: date
    terms: TokenPrices | Instance | str


@dataclass(frozen=True, slots=True)
class Figure:
    """How fast accelerators serve a model.

    Attributes:
        figure_id: Its name.
        model: The model.
        accelerator: Type of the accelerators.
        accelerators: How many served it together.
        output_rate: Output tokens that all write in a second.
        input_rate: Input tokens that all read in a second; None where prompts are in the other rate.
        basis: `measured`, `benchmark` or `estimate`.
        source: Who measured it.
        observed_on: When.
    """

    figure_id: str
    model: str
    accelerator: str
    accelerators: int
    output_rate: Fraction
    input_rate: Fraction | None
    basis: str
    source: str
    observed_on: date


@dataclass(frozen=True, slots=True)
class Workload:
    """Usage that is placed as one.

    Attributes:
        name: Its name.
        model: Model that would serve it on accelerators; None where not told.
        hostable: Whether there is any such model.
        utilisation: Planned utilisation; None where not told.
        minimum_instances: Instances that are paid for in any case.
    """

    name: str
    model: str | None = None
    hostable: bool = True
    utilisation: Fraction | None = None
    minimum_instances: int = 1


@dataclass(frozen=True, slots=True)
class Residency:
    """Where calls of a class of data may run; None for everywhere.

    Attributes:
        data_class: The class.
        paths: Paths.
        regions: Regions by name, or by its beginning and a `*`.
    """

    data_class: str
    paths: frozenset[str] | None = None
    regions: tuple[str, ...] | None = None

    def forbids(self, path: str, region: str | None) -> str | None:
        """Return why calls may not run in a region of a path, None where they may."""
        if self.paths is not None and path not in self.paths:
            return RESIDENCY
        if self.regions is None:
            return None
        if region is None:
            return NO_REGION
        return None if any(_matches(region, told) for told in self.regions) else RESIDENCY


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is assumed of all workloads; None where nothing is.

    Attributes:
        utilisation: Planned utilisation.
        api_price_decline: Share by which prices of model APIs fall in a year.
        life_months: Another life of hardware.
    """

    utilisation: Fraction | None = None
    api_price_decline: Fraction | None = None
    life_months: int | None = None


@dataclass(frozen=True, slots=True)
class Paths:
    """What is known of inference elsewhere in one billing period.

    Attributes:
        period_seconds: How long the period is.
        covered_seconds: How much of it usage is of.
        offers: Offers, by path and name.
        figures: Figures of throughput.
        workloads: Workload of each workflow that one has; any other is one of its own.
        rules: Rules of residency.
        assumptions: What is assumed.
        served: Which providers, models and inference paths a fleet serves: such usage has no price of its own.
    """

    period_seconds: Fraction
    covered_seconds: Fraction
    offers: Sequence[PathOffer] = ()
    figures: Sequence[Figure] = ()
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    rules: Sequence[Residency] = ()
    assumptions: Assumptions = Assumptions()
    served: Sequence[Mapping[str, Collection[str]]] = ()

    def workload_of(self, workflow: str) -> Workload:
        """Return the workload that a workflow belongs to."""
        return self.workloads.get(workflow) or Workload(workflow)

    def figure_for(self, model: str, instance: Instance) -> Figure | None:
        """Return the figure that tells most of a model on an instance: of the most accelerators that fit, the best.

        Of figures on one basis the slowest is taken.
        """
        fitting = [
            each
            for each in self.figures
            if each.model == model
            and each.accelerator == instance.accelerator
            and each.accelerators <= instance.accelerators
        ]
        return min(
            fitting,
            key=lambda each: (-each.accelerators, _BASES.index(each.basis), each.output_rate, each.figure_id),
            default=None,
        )

    def forbids_path(self, data_classes: Collection[str], path: str) -> bool:
        """Return whether calls of classes of data may run nowhere on a path."""
        return any(
            each.paths is not None and path not in each.paths for each in self.rules if each.data_class in data_classes
        )

    def forbids(self, data_classes: Collection[str], path: str, region: str | None) -> str | None:
        """Return why calls of classes of data may not run in a region of a path, None where they may."""
        reasons = [each.forbids(path, region) for each in self.rules if each.data_class in data_classes]
        return RESIDENCY if RESIDENCY in reasons else next((each for each in reasons if each is not None), None)


def _matches(region: str, told: str) -> bool:
    return region.startswith(told[:-1]) if told.endswith("*") else region == told
