"""The questions that the site puts to the published file: sums that filters can add further.

Of very many teams and workflows the dearest have names and the others are summed, so that a page stays a page and every
sum stays whole. Sums are cast, since DuckDB widens them.
"""

from __future__ import annotations

from typing import Final

MOST_PERIODS: Final = 13
"""Billing periods that the site shows, the newest. As many as `insight.fct_price_volume_mix` compares."""

MOST_WORKFLOWS: Final = 300
"""Workflows of teams that keep their name."""

MOST_TEAMS: Final = 60
MOST_RELEASES: Final = 8
"""Releases of a workflow that keep their name."""

MOST_BRANCHES: Final = 60
"""Branches of a workflow's tree of agents that are drawn, the dearest."""

MOST_AGENTS: Final = 15
MOST_TASKS: Final = 10
MOST_PERSONS: Final = 20
"""Rows that are listed, dearest first; as many of each workflow are held, so that no filter misses one."""

OTHER_TEAMS: Final = "other teams"
OTHER_WORKFLOWS: Final = "other workflows"
OTHER_RELEASES: Final = "other releases"
OTHER_CUSTOMERS: Final = "other customers"

MOST_CUSTOMERS: Final = 50
"""Customers of a product that keep their name."""

CURVE_POINTS: Final = 100
"""Points that a Lorenz curve is drawn through, at most."""

PUBLICATION: Final = "select build_number, built_commit, built_at from audit.publication"

PREPARATION: Final = (
    f"""
    create temp table periods as
    select
        billing_period_start,
        billing_period_end,
        period_begins_at,
        period_ends_at,
        coalesce(period_state, 'open') as period_state,
        period_ends_at <= (select max(publication.built_at) from audit.publication as publication) as is_over
    from finance.dim_billing_periods
    order by billing_period_start desc
    limit {MOST_PERIODS}
    """,
    f"""
    create temp table cells as
    with seen as (

        select team, workflow, abs(effective_cost) as cost from insight.fct_cost_drivers
        union all
        select team, workflow, 0 from insight.fct_price_volume_mix
        union all
        select team, workflow, 0 from engineering.fct_task_economics
        union all
        select team, workflow, 0 from engineering.fct_hidden_cost
        union all
        select team, workflow, 0 from engineering.fct_agent_costs

    ),

    summed as (

        select team, workflow, coalesce(sum(cost), 0) as cost
        from seen
        group by all

    ),

    ranked as (

        select
            *,
            row_number() over (order by cost desc, team, workflow) as workflow_rank,
            sum(cost) over (partition by team) as team_cost
        from summed

    ),

    ranked_teams as (

        select *, dense_rank() over (order by team_cost desc, team) as team_rank from ranked

    )

    select
        team as own_team,
        workflow as own_workflow,
        if(team_rank <= {MOST_TEAMS}, team, '{OTHER_TEAMS}') as team,
        if(workflow_rank <= {MOST_WORKFLOWS} and team_rank <= {MOST_TEAMS}, workflow, '{OTHER_WORKFLOWS}') as workflow
    from ranked_teams
    """,
)
"""Statements to run first, in order: which periods, teams and workflows keep their names."""

TEAMS: Final = """
select team from cells
union
select coalesce(named.team, forecast.team)
from insight.fct_forecast as forecast
left join (select own_team, min(team) as team from cells group by own_team) as named
    on forecast.team = named.own_team
order by all
"""
"""A forecast may tell of a team that has used nothing yet."""

PERIODS: Final = "select billing_period_start, period_state, is_over from periods order by all"

CELLS: Final = "select distinct team, workflow from cells order by all"

DRIVERS: Final = """
select
    drivers.billing_period_start as period,
    cells.team,
    cells.workflow,
    drivers.billing_currency as currency,
    cast(sum(drivers.effective_cost) as decimal(38, 12)) as cost,
    cast(sum(drivers.usage_cost) as decimal(38, 12)) as usage_cost,
    cast(sum(drivers.tasks + drivers.calls_without_task) as bigint) as tasks,
    cast(coalesce(sum(drivers.calls), 0) as bigint) as calls,
    cast(coalesce(sum(drivers.total_tokens), 0) as bigint) as tokens,
    cast(coalesce(sum(drivers.unpriced_calls), 0) as bigint) as unpriced_calls,
    cast(coalesce(sum(drivers.unpriced_tokens), 0) as bigint) as unpriced_tokens
from insight.fct_cost_drivers as drivers
inner join periods on drivers.billing_period_start = periods.billing_period_start
inner join cells on drivers.team = cells.own_team and drivers.workflow = cells.own_workflow
group by all
order by all
"""

EFFECTS: Final = """
select
    mix.from_period_start as before,
    mix.to_period_start as after,
    cells.team,
    cells.workflow,
    mix.billing_currency as currency,
    mix.effect,
    cast(sum(mix.effect_cost) as decimal(38, 12)) as cost,
    count(*) filter (where mix.effect_cost is null) as unknown
from insight.fct_price_volume_mix as mix
inner join periods as before on mix.from_period_start = before.billing_period_start
inner join periods as after on mix.to_period_start = after.billing_period_start
inner join cells on mix.team = cells.own_team and mix.workflow = cells.own_workflow
group by all
order by all
"""

PRICES: Final = """
select
    index.billing_period_start as period,
    index.index_kind as kind,
    cast(index.index_value as varchar) as value
from insight.fct_price_index as index
inner join periods on index.billing_period_start = periods.billing_period_start
where index.basket = 'all' and index.index_kind in ('fisher_chained', 'generation_chained', 'unit_value')
order by all
"""

HIDDEN: Final = """
select
    hidden.billing_period_start as period,
    cells.team,
    cells.workflow,
    hidden.billing_currency as currency,
    hidden.purpose,
    coalesce(hidden.rule, '') as rule,
    cast(sum(hidden.calls) as bigint) as calls,
    cast(coalesce(sum(hidden.unpriced_calls), 0) as bigint) as unpriced_calls,
    cast(coalesce(sum(hidden.total_tokens), 0) as bigint) as tokens,
    cast(sum(hidden.effective_cost) as decimal(38, 12)) as cost
from engineering.fct_hidden_cost as hidden
inner join periods on hidden.billing_period_start = periods.billing_period_start
inner join cells on hidden.team = cells.own_team and hidden.workflow = cells.own_workflow
group by all
order by all
"""
