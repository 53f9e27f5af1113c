"""What the organisation is charged in a month by what is known at a time, and who bears it: the documents' words alone.

A charge is rounded once, half-even, to whole picos.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from fractions import Fraction

from tests.worked_example.known_by_hand import NOBODY, PICO, Charge, Knowledge, Receiver, Shares, split
from tests.worked_example.organisation import (
    CODEBOT_CREDITS,
    CODEBOT_FEE_EUR,
    CREDIT,
    CREDIT_PRICE,
    CREDIT_VALUE,
    DAYS,
    DAYS_OF_THE_YEAR,
    ESTIMATE_A_MILLION,
    EUR,
    FIRST,
    FIRST_HALF_SEATS,
    MONTHS,
    OVERAGE,
    PROMISED,
    RACK_PRICE,
    RACK_RUNNING,
    SEAT_FEE,
    SEAT_INCLUDES,
    SEATS,
    TOKENS_OF_A_UNIT,
    YEARLY_FEE,
    Event,
)

REORGANISED = date(2026, 6, 16)


class Month:
    """A month by what is known."""

    def __init__(self, month: int, known: Knowledge) -> None:
        self.month, self.known, self.calls = month, known, known.events(month)

    def charges(self) -> list[Charge]:
        """Return every charge but for what moved between teams."""
        made = [
            *(charge for part in (self._usage, self._estimate, self._contract, self._untagged) for charge in part()),
            *(charge for part in (self._platforms, self._seats, self._codebot, self._maps) for charge in part()),
            *self._rack(),
        ]
        return [*made, *self._residuals(made)]

    def measured(
        self, measure: Callable[[Event], Fraction | int | None], keep: Callable[[Event], bool] = lambda _: True
    ) -> dict[Receiver, Fraction]:
        """Return the sums of a measure by who caused it, in order, nobody last."""
        sums: defaultdict[Receiver, Fraction] = defaultdict(Fraction)
        for each in self.calls:
            if keep(each):
                sums[self.known.receiver(each.team, each.day, each.workflow)] += measure(each) or 0
        return {who: sums[who] for who in sorted(sums, key=lambda who: (who == NOBODY, who)) if sums[who]}

    def listed(self, each: Event) -> Fraction | None:
        """Return the list cost of a call."""
        return self.known.prices(each)[0]

    def contracted(self, each: Event) -> Fraction | None:
        """Return the contracted cost of a call."""
        return self.known.prices(each)[1]

    def _usage(self) -> Iterator[Charge]:
        for provider in sorted({each.provider for each in self.calls}):
            for who, cost in self.measured(self.contracted, _of(provider)).items():
                yield _charge("usage", f"usage {provider}", cost, [(who, Fraction(1))])

    def _estimate(self) -> Iterator[Charge]:
        tokens = self.measured(lambda each: 0 if self.listed(each) else each.units * TOKENS_OF_A_UNIT)
        if tokens:
            cost = sum(tokens.values()) * ESTIMATE_A_MILLION / 10**6
            yield _charge("estimate", "usage mistral", Fraction(cost), list(tokens.items()))

    def _contract(self) -> Iterator[Charge]:
        """The promise first, then the credit, used up month by month; what is left expires at the end of September."""
        left = Fraction(CREDIT)
        for month in (each for each in MONTHS if each <= self.month):
            spent = sum((self.contracted(each) or 0) for each in self.known.events(month) if each.provider == "openai")
            drawn = min(left, Fraction(spent))
            left -= drawn
        shares = self._by_cost("openai")
        paid = Fraction(CREDIT_PRICE, CREDIT)
        if self.month == 6:
            yield _charge("prepaid_purchase", "usage openai", Fraction(CREDIT_PRICE), shares, used=Fraction(0))
        yield _charge("prepaid_drawdown", "usage openai", -drawn, shares, used=-drawn + drawn * paid)
        if spent < PROMISED:
            yield _charge("commitment_shortfall", "usage openai", Fraction(PROMISED) - spent, shares)
        if self.month == 9:
            yield _charge("prepaid_expiry", "usage openai", Fraction(0), shares, used=left * paid)

    def _untagged(self) -> Iterator[Charge]:
        cost = sum((self.contracted(each) or 0) for each in self.calls if not each.team)
        yield _charge("untagged_usage", "usage openai", Fraction(cost), self._thirds(Fraction(1)))
        yield _charge("untagged_usage_moved", "usage openai", -Fraction(cost), [(NOBODY, Fraction(1))])

    def _platforms(self) -> Iterator[Charge]:
        teams: defaultdict[str, int] = defaultdict(int)
        calls = {who: count for who, count in self.measured(lambda _: 1).items() if who != NOBODY}
        for who, count in calls.items():
            teams[who[0]] += int(count)
        by_calls = list(calls.items())
        # The fourth call of a team and those after it weigh half.
        weighed = {team: min(count, 3) + Fraction(max(count - 3, 0), 2) for team, count in teams.items()}
        tiered = [(who, weighed[who[0]] * count / teams[who[0]]) for who, count in calls.items()]
        for first, end in self._spans():
            even = [(self.known.receiver(team, first), Fraction(1)) for team in ("care", "data", "search")]
            for amount in (150, 50):
                yield from self._gateway(amount, first, end, by_calls)
            part = self._part(400, first, end)
            yield Charge("vector-store", "platform vector-store", part, part, part, by_calls)
            for name, amount, shares in (("guardrail", 100, even), ("evals", 120, tiered)):
                part = self._part(amount, first, end)
                yield Charge(name, f"platform {name}", part, part, part, shares, is_own=True)

    def _gateway(self, euros: int, first: date, end: date, by_calls: Shares) -> Iterator[Charge]:
        """Half to Search, three tenths to Care, and a fifth to the vector store, which passes it on by calls."""
        part = self._part(euros, first, end)
        cost = round(part * EUR[self.month])
        store, search, care = split(cost, [Fraction(2), Fraction(5), Fraction(3)])
        own = {"search": search, "care": care}
        exact = [(self.known.receiver(team, first), Fraction(own[team])) for team in own]
        passed = zip((who for who, _ in by_calls), split(store, [weight for _, weight in by_calls]), strict=True)
        shares = [*exact, *((who, Fraction(pico)) for who, pico in passed)]
        yield Charge("gateway", "platform gateway", part, part, cost, shares, currency="EUR", is_own=True)

    def _seats(self) -> Iterator[Charge]:
        included = Fraction(0)
        for first, end in self._spans():
            seats = FIRST_HALF_SEATS if first == FIRST[6] else SEATS
            count = sum(seats.values())
            shares = [(self.known.receiver(team, first), Fraction(held)) for team, held in seats.items()]
            part = self._part(SEAT_FEE * count, first, end)
            yield Charge("seats", "subscription assist", part, part, part, shares)
            included += Fraction(SEAT_INCLUDES * count * (end - first).days, DAYS[self.month])
        used = sum((self.listed(each) or 0) for each in self.calls if each.subscription == "assist")
        shares = list(self.measured(self.contracted, lambda each: each.subscription == "assist").items())
        # What goes beyond has a price of its own, so all of it is taken off its own cost.
        yield _charge("included_usage", "usage anthropic", -sum((cost for _, cost in shares), Fraction(0)), shares)
        if used > included:
            yield _charge("overage", "subscription assist", (used - included) * OVERAGE, shares)

    def _codebot(self) -> Iterator[Charge]:
        """The plan in euros goes to its two teams by halves; beyond its credits usage costs what it costs."""
        halves = [("checkout", Fraction(1)), ("mobile", Fraction(1))]
        for first, end in self._spans():
            part = self._part(CODEBOT_FEE_EUR, first, end)
            shares = [(self.known.receiver(team, first), weight) for team, weight in halves]
            cost = round(part * EUR[self.month])
            yield Charge("codebot", "subscription codebot", part, part, cost, shares, currency="EUR")
        used = list(self.measured(self.contracted, lambda each: each.subscription == "codebot").items())
        cost_of_all = sum((cost for _, cost in used), Fraction(0))
        covered = min(cost_of_all, CODEBOT_CREDITS * CREDIT_VALUE)
        yield _charge("included_usage", "usage mistral", -covered, used)

    def _maps(self) -> Iterator[Charge]:
        """A dollar a day, of a year that was paid on 1 June."""
        if self.month == 6:
            shares: Shares = [(self._team("maps"), Fraction(1))]
            yield _charge("maps-suite", "subscription maps-suite", Fraction(YEARLY_FEE), shares, used=0)
        for first, end in self._spans():
            shares = [(self.known.receiver("maps", first), Fraction(1))]
            used = _since_june(YEARLY_FEE, first, end)
            yield Charge("maps-suite", "subscription maps-suite", 0, used, used, shares)

    def _rack(self) -> Iterator[Charge]:
        """Ten dollars a day and its running costs; what nobody used goes to Platform and Data by halves."""
        seconds = self.measured(lambda each: each.seconds)
        ratio = Fraction(sum(seconds.values()), DAYS[self.month] * 86_400)
        if self.month == 6:
            yield _charge("rack", "fleet rack", Fraction(RACK_PRICE), self._idle(FIRST[6]), used=0, is_own=True)
        for first, end in self._spans():
            amortised = _since_june(RACK_PRICE, first, end)
            for whole, payable in [(amortised, False)] + [
                (self._part(amount, first, end), True) for amount in RACK_RUNNING.values()
            ]:
                used = round(whole * ratio)
                for part, shares in ((used, list(seconds.items())), (whole - used, self._idle(first))):
                    yield Charge("rack", "fleet rack", part if payable else 0, part, part, shares, is_own=True)
        inside = list(self.measured(self.contracted, _of("on_prem")).items())
        taken_off = -sum((cost for _, cost in inside), Fraction(0))
        yield _charge("rack_internal_rate", "usage on_prem", taken_off, inside)

    def _idle(self, day: date) -> Shares:
        return [(self.known.receiver(team, day), Fraction(1)) for team in ("platform", "data")]

    def _residuals(self, made: Iterable[Charge]) -> Iterator[Charge]:
        """What a final invoice for usage says beyond what is payable: credits first, then rounding or what is left."""
        charges = list(made)
        for vendor in ("anthropic", "openai"):
            name = f"usage {vendor}"
            lines = [
                each for each in self.known.invoice_lines() if each.obligation == name and each.about == self.month
            ]
            if not any(each.category == "Usage" for each in lines):
                continue
            ours = [charge for charge in charges if charge.obligation == name]
            residual = _pico(sum(each.amount for each in lines)) - sum(charge.payable for charge in ours)
            drawn = sum(charge.payable for charge in ours if charge.kind == "prepaid_drawdown")
            credited = _pico(sum(each.amount for each in lines if each.category == "Credit")) - drawn
            shares = self._by_cost(vendor)
            for amount in (credited, residual - credited):
                if amount:
                    yield Charge("residual", name, amount, amount, amount, shares)

    def _by_cost(self, provider: str) -> Shares:
        """Return who caused usage, by its cost; what nobody owns falls on the three who bear it."""
        sums = self.measured(self.contracted, _of(provider))
        nobodys = sums.pop(NOBODY, Fraction(0))
        return [*sums.items(), *(self._thirds(nobodys) if nobodys else [])]

    def _thirds(self, whole: Fraction) -> Shares:
        return [(self._team(team), whole / 3) for team in ("care", "platform", "search")]

    def _team(self, team: str) -> Receiver:
        return self.known.receiver(team, FIRST[self.month])

    def _spans(self) -> list[tuple[date, date]]:
        """A month, in two parts where Maps moves in the middle of it."""
        first, end = FIRST[self.month], FIRST[self.month] + timedelta(DAYS[self.month])
        return [(first, REORGANISED), (REORGANISED, end)] if first < REORGANISED < end else [(first, end)]

    def _part(self, amount: int, first: date, end: date) -> int:
        """Return the part of a month's amount that falls on some days, in picos."""
        start, whole = FIRST[self.month], DAYS[self.month]
        before, after = (first - start).days, (end - start).days
        return round(Fraction(amount * PICO * after, whole)) - round(Fraction(amount * PICO * before, whole))


def _since_june(amount: int, first: date, end: date) -> int:
    """Return what falls on some days of an amount for the year since 1 June, in picos."""
    before, after = (first - FIRST[6]).days, (end - FIRST[6]).days
    whole = DAYS_OF_THE_YEAR
    return round(Fraction(amount * PICO * after, whole)) - round(Fraction(amount * PICO * before, whole))


def _charge(
    kind: str,
    obligation: str,
    payable: Fraction,
    shares: Shares,
    *,
    used: Fraction | int | None = None,
    is_own: bool = False,
) -> Charge:
    amount = _pico(payable if used is None else used)
    return Charge(kind, obligation, _pico(payable), amount, amount, shares, is_own=is_own)


def _pico(amount: Fraction | int) -> int:
    return round(Fraction(amount) * PICO)


def _of(provider: str) -> Callable[[Event], bool]:
    return lambda each: each.provider == provider
