"""What a workload would cost in each way that there is on a path, or why it cannot be there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from tollbook.insight.path_offers import (
    BENCHMARK,
    ESTIMATE,
    METERED,
    NO_EXCHANGE_RATE,
    NO_FLEET_COST,
    NO_REGION,
    OBSERVED,
    RESIDENCY,
    UNKNOWN,
    Figure,
    Instance,
    PathOffer,
    Paths,
    TokenPrices,
    Workload,
)
from tollbook.insight.path_running import Running
from tollbook.insight.path_usage import WorkloadUsage, bought_by_token, cost_of

NO_OFFER, NO_KNOWN_COST, NO_TOKENS = "no_offer", "no_known_cost", "no_tokens"
OTHER_MODEL, NOT_SERVABLE, NO_MODEL = "other_model", "model_not_servable", "no_model_told"
NO_THROUGHPUT, NO_UTILISATION = "no_throughput_told", "no_utilisation_told"
REASONS: Final = (
    *(NO_OFFER, NO_KNOWN_COST, NO_TOKENS, RESIDENCY, NO_REGION, NO_EXCHANGE_RATE, NO_FLEET_COST),
    *(OTHER_MODEL, NOT_SERVABLE, NO_MODEL, NO_THROUGHPUT, NO_UTILISATION),
)
"""Why a workload has no cost on a path, in the order in which they are found: the last one of a path is told."""
EVENTS: Final = "events"
"""Basis of a throughput that calls of the workload itself have told."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast an instance serves a workload.

    Attributes:
        instance_seconds: Time of one instance at full load for all tokens. Unit: Seconds.
        output_rate: Output tokens a second of one instance, those for which it need not wait for prompts.
        basis: `events`, `measured`, `benchmark` or `estimate`.
        figure: Figure that tells it, None where events do.
    """

    instance_seconds: Fraction
    output_rate: Fraction
    basis: str
    figure: Figure | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to run a workload on a path.

    Attributes:
        kind: `observed`, `metered`, `rented`, `owned` or `fleet`.
        cost: What its tokens would cost. Unit: USD.
        caveats: What the cost leaves out or rests on, in words for tables.
        offer: The offer, None for what is observed.
        model: Model that would serve it; None for what is observed.
        running: The instances, None where tokens are priced.
        speed: How fast one of them is.
    """

    kind: str
    cost: Fraction
    caveats: tuple[str, ...] = ()
    offer: PathOffer | None = None
    model: str | None = None
    running: Running | None = None
    speed: Speed | None = None


def cheapest(path: str, workload: Workload, usage: WorkloadUsage, paths: Paths) -> Candidate | str:
    """Return the cheapest way to run a workload on a path, of equals what is observed and then the first by name.

    Returns:
        The way, or else the one of `REASONS` that came latest.
    """
    found: list[Candidate] = []
    reason = NO_OFFER
    for each in _ways(path, workload, usage, paths):
        if isinstance(each, Candidate):
            found.append(each)
        else:
            reason = max(reason, each, key=REASONS.index)
    return min(found, key=lambda each: each.cost) if found else reason


def _ways(path: str, workload: Workload, usage: WorkloadUsage, paths: Paths) -> Iterator[Candidate | str]:
    if not usage.counts["total_tokens"]:
        yield NO_TOKENS
        return
    yield _as_observed(path, usage, paths)
    for offer in paths.offers:
        if offer.path == path:
            yield _of_offer(offer, workload, usage, paths)


def _as_observed(path: str, usage: WorkloadUsage, paths: Paths) -> Candidate | str:
    """Return what all tokens cost at the average price of those that are bought on the path by the token."""
    parts = bought_by_token(usage.on(path), paths.served)
    if not parts:
        # A path that a rule forbids is forbidden whoever would offer it.
        return RESIDENCY if paths.forbids_path(usage.data_classes, path) else NO_OFFER
    for region in sorted({part["region"] for part in parts}):
        forbidden = paths.forbids(usage.data_classes, path, None if region == UNKNOWN else region)
        if forbidden is not None:
            return forbidden
    cost, unpriced = cost_of(parts), sum(part["unpriced_tokens"] or 0 for part in parts)
    priced = sum(part["total_tokens"] or 0 for part in parts) - unpriced
    if cost is None or not priced:
        return NO_KNOWN_COST
    caveats = []
    if unpriced:
        caveats.append("unpriced_tokens")
    if any(part["inference_path"] == UNKNOWN for part in parts):
        caveats.append("path_not_told")
    return Candidate(OBSERVED, cost * usage.counts["total_tokens"] / priced, tuple(caveats))


def _of_offer(offer: PathOffer, workload: Workload, usage: WorkloadUsage, paths: Paths) -> Candidate | str:
    forbidden = paths.forbids(usage.data_classes, offer.path, offer.region)
    if forbidden is not None:
        return forbidden
    terms = offer.terms
    if isinstance(terms, str):
        return terms
    if isinstance(terms, TokenPrices):
        return _by_token(offer, terms, workload, usage)
    return _on_instances(offer, terms, workload, usage, paths)


def _by_token(offer: PathOffer, prices: TokenPrices, workload: Workload, usage: WorkloadUsage) -> Candidate | str:
    if prices.model != workload.model and prices.model not in usage.models:
        return OTHER_MODEL
    counts = usage.counts
    read, written = counts["cache_read_tokens"], counts["cache_write_tokens"]
    cost = (
        (usage.new_input_tokens - written) * prices.input
        + read * prices.cache_read
        + written * prices.cache_write
        + counts["output_tokens"] * prices.output
    )
    return Candidate(METERED, cost, _of_model(prices.model, usage), offer, prices.model)


def _on_instances(
    offer: PathOffer, instance: Instance, workload: Workload, usage: WorkloadUsage, paths: Paths
) -> Candidate | str:
    if not workload.hostable:
        return NOT_SERVABLE
    model = workload.model or next(iter(usage.models))
    speed = _speed(model, instance, usage, paths)
    if speed is None:
        is_told = workload.model is not None or any(each.model == model for each in paths.figures)
        return NO_THROUGHPUT if is_told else NO_MODEL
    utilisation = workload.utilisation or paths.assumptions.utilisation
    if utilisation is None:
        return NO_UTILISATION
    running = Running(
        instance_cost=instance.period_cost,
        instance_seconds=speed.instance_seconds,
        tokens=usage.counts["total_tokens"],
        period_seconds=paths.period_seconds,
        covered_seconds=paths.covered_seconds,
        planned_utilisation=utilisation,
        minimum_instances=workload.minimum_instances,
    )
    caveats = [*_of_model(model, usage)]
    if speed.basis in {BENCHMARK, ESTIMATE}:
        caveats.append("full_load_benchmark" if speed.basis == BENCHMARK else "estimated_throughput")
    if speed.figure is not None and speed.figure.input_rate is None:
        caveats.append("prompts_not_counted")
    if instance.at_hand is not None and running.instances > instance.at_hand:
        caveats.append("beyond_the_fleet")
    return Candidate(offer.kind, running.cost, tuple(caveats), offer, model, running, speed)


def _speed(model: str, instance: Instance, usage: WorkloadUsage, paths: Paths) -> Speed | None:
    """Return what the workload's own calls have told of it, else a figure; None where neither tells of its tokens."""
    output = usage.counts["output_tokens"]
    seconds = usage.accelerator_seconds(model, instance.accelerator)
    if seconds is not None:
        needed = seconds / instance.accelerators
        return Speed(needed, output / needed, EVENTS)
    figure = paths.figure_for(model, instance)
    if figure is None or (figure.input_rate is None and not output):
        return None
    groups = instance.accelerators // figure.accelerators
    needed = output / figure.output_rate
    if figure.input_rate is not None:
        needed += usage.new_input_tokens / figure.input_rate
    return Speed(needed / groups, figure.output_rate * groups, figure.basis, figure)


def _of_model(model: str, usage: WorkloadUsage) -> tuple[str, ...]:
    return () if model in usage.models else ("another_model",)
