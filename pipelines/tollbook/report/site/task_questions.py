"""Questions about what tasks and agents cost. They are put after `questions.PREPARATION`."""

from __future__ import annotations

from typing import Final

from tollbook.report.site.questions import MOST_AGENTS, MOST_BRANCHES, MOST_RELEASES, MOST_TASKS, OTHER_RELEASES

COHORTS: Final = f"""
with priced_successes as (

    select
        periods.billing_period_start,
        tasks.team,
        tasks.workflow,
        tasks.billing_currency,
        tasks.release,
        count(*) as priced_succeeded_tasks
    from engineering.fct_tasks as tasks
    inner join periods on tasks.started_at >= periods.period_begins_at and tasks.started_at < periods.period_ends_at
    where tasks.outcome = 'success' and tasks.unpriced_calls = 0
    group by all

),

releases as (

    select
        team,
        workflow,
        release,
        row_number() over (partition by team, workflow order by sum(tasks) desc, release) as release_rank
    from engineering.fct_task_economics
    where cohort_kind = 'release'
    group by team, workflow, release

)

select
    economics.billing_period_start as period,
    cells.team,
    cells.workflow,
    economics.billing_currency as currency,
    if(releases.release_rank <= {MOST_RELEASES}, economics.release, '{OTHER_RELEASES}') as release,
    cast(sum(economics.tasks) as bigint) as tasks,
    cast(sum(economics.succeeded_tasks) as bigint) as succeeded_tasks,
    cast(sum(economics.failed_tasks) as bigint) as failed_tasks,
    cast(sum(economics.priced_tasks) as bigint) as priced_tasks,
    cast(coalesce(sum(successes.priced_succeeded_tasks), 0) as bigint) as priced_succeeded_tasks,
    cast(sum(economics.calls) as bigint) as calls,
    cast(sum(economics.retries) as bigint) as retries,
    cast(coalesce(sum(economics.total_tokens), 0) as bigint) as tokens,
    cast(sum(economics.priced_cost) as decimal(38, 12)) as cost,
    cast(sum(economics.succeeded_cost) as decimal(38, 12)) as succeeded_cost,
    cast(sum(economics.failed_cost) as decimal(38, 12)) as failed_cost,
    cast(sum(economics.unjudged_cost) as decimal(38, 12)) as unjudged_cost
from engineering.fct_task_economics as economics
inner join periods on economics.billing_period_start = periods.billing_period_start
inner join cells on economics.team = cells.own_team and economics.workflow = cells.own_workflow
inner join releases
    on economics.team = releases.team
        and economics.workflow = releases.workflow
        and economics.release = releases.release
left join priced_successes as successes
    on economics.billing_period_start = successes.billing_period_start
        and economics.team = successes.team
        and economics.workflow = successes.workflow
        and economics.billing_currency = successes.billing_currency
        and economics.release = successes.release
where economics.cohort_kind = 'release'
group by all
order by all
"""
"""A task has one release, so that cohorts add up to workflows. Means are over tasks whose cost is known whole."""

PERCENTILES: Final = """
with priced as (

    select
        periods.billing_period_start as period,
        cells.team,
        cells.workflow,
        tasks.billing_currency as currency,
        tasks.effective_cost as cost
    from engineering.fct_tasks as tasks
    inner join periods on tasks.started_at >= periods.period_begins_at and tasks.started_at < periods.period_ends_at
    inner join cells on tasks.team = cells.own_team and tasks.workflow = cells.own_workflow
    where tasks.unpriced_calls = 0 and tasks.effective_cost is not null

)

select
    period,
    team,
    workflow,
    currency,
    quantile_disc(cost, 0.5) as p50,
    quantile_disc(cost, 0.9) as p90,
    quantile_disc(cost, 0.99) as p99,
    max(cost) as largest
from priced
group by currency, cube (period, team, workflow)
order by all nulls first
"""
"""One row for every choice of filters, since percentiles cannot be added; null where a filter chooses all."""

AGENTS: Final = f"""
with summed as (

    select
        periods.billing_period_start as period,
        cells.team,
        cells.workflow,
        agents.agent,
        agents.billing_currency as currency,
        cast(sum(agents.calls) as bigint) as calls,
        cast(sum(agents.inclusive_calls) as bigint) as inclusive_calls,
        cast(sum(agents.inclusive_unpriced_calls) as bigint) as unpriced_calls,
        cast(sum(agents.effective_cost) as decimal(38, 12)) as cost,
        cast(sum(agents.inclusive_effective_cost) as decimal(38, 12)) as inclusive_cost
    from engineering.fct_agent_costs as agents
    inner join periods
        on agents.usage_date >= periods.billing_period_start and agents.usage_date < periods.billing_period_end
    inner join cells on agents.team = cells.own_team and agents.workflow = cells.own_workflow
    group by all

),

ranked as (

    select
        team,
        workflow,
        agent,
        row_number() over (
            partition by team, workflow order by sum(inclusive_cost) desc nulls last, agent
        ) as agent_rank
    from summed
    group by team, workflow, agent

)

select
    summed.period,
    summed.team,
    summed.workflow,
    summed.agent,
    summed.currency,
    summed.calls,
    summed.inclusive_calls,
    summed.unpriced_calls,
    summed.cost,
    summed.inclusive_cost
from summed
inner join ranked using (team, workflow, agent)
where ranked.agent_rank <= {MOST_AGENTS}
order by all
"""

BRANCHES: Final = f"""
with summed as (

    select
        periods.billing_period_start as period,
        cells.team,
        cells.workflow,
        branches.agent_path as path,
        branches.billing_currency as currency,
        cast(sum(branches.calls) as bigint) as calls,
        cast(sum(branches.inclusive_calls) as bigint) as inclusive_calls,
        cast(sum(branches.inclusive_unpriced_calls) as bigint) as unpriced_calls,
        cast(sum(branches.effective_cost) as decimal(38, 12)) as cost,
        cast(sum(branches.inclusive_effective_cost) as decimal(38, 12)) as inclusive_cost
    from engineering.fct_agent_calls as branches
    inner join periods
        on branches.usage_date >= periods.billing_period_start and branches.usage_date < periods.billing_period_end
    inner join cells on branches.team = cells.own_team and branches.workflow = cells.own_workflow
    group by all

),

ranked as (

    select
        team,
        workflow,
        path,
        row_number() over (
            partition by team, workflow order by sum(inclusive_cost) desc nulls last, len(path), path
        ) as branch_rank
    from summed
    group by team, workflow, path

)

select summed.*
from summed
inner join ranked using (team, workflow, path)
where ranked.branch_rank <= {MOST_BRANCHES}
order by all
"""
"""Of a workflow with very many branches the dearest; a branch's inclusive cost holds those that are left out."""

DEAREST: Final = f"""
with dated as (

    select
        periods.billing_period_start as period,
        cells.team,
        cells.workflow,
        tasks.billing_currency as currency,
        tasks.task_id,
        tasks.release,
        coalesce(tasks.outcome, 'not told') as outcome,
        strftime(tasks.started_at, '%Y-%m-%d %H:%M') as began,
        tasks.calls,
        coalesce(tasks.agents, 0) as agents,
        coalesce(tasks.depth, 0) as depth,
        coalesce(tasks.total_tokens, 0) as tokens,
        tasks.effective_cost as cost
    from engineering.fct_tasks as tasks
    inner join periods on tasks.started_at >= periods.period_begins_at and tasks.started_at < periods.period_ends_at
    inner join cells on tasks.team = cells.own_team and tasks.workflow = cells.own_workflow
    where tasks.effective_cost is not null

)

select *
from dated
qualify row_number() over (partition by period, team, workflow, currency order by cost desc, task_id) <= {MOST_TASKS}
order by cost desc, task_id
"""
