{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_periods_of_touched_tasks() }}"
    )
}}

-- depends_on: {{ ref('stg_plan__dates') }}

with tasks as (

    select * from {{ ref('fct_tasks') }}

),

billing_periods as (

    select * from {{ ref('int_billing_periods_dated') }}

    {% if is_incremental() -%}
    where billing_period_start in (select touched.billing_period_start from task_periods_touched as touched)
    {%- endif %}

),

-- A task whose cost is known in part is in no mean and no percentile: it would be cheap for what is not known.
tasks_dated as (

    select
        billing_periods.billing_period_start,
        billing_periods.billing_period_end,
        tasks.*,
        case when tasks.unpriced_calls = 0 then tasks.effective_cost end as task_cost

    from tasks

    inner join billing_periods
        on tasks.started_at >= billing_periods.period_begins_at
            and tasks.started_at < billing_periods.period_ends_at

),

fences as (

    select
        billing_period_start,
        team,
        workflow,
        billing_currency,
        cast(
            quantile_disc(task_cost, 0.75) + 3 * (quantile_disc(task_cost, 0.75) - quantile_disc(task_cost, 0.25))
            as decimal(38, 12)
        ) as outlier_above

    from tasks_dated

    group by all

),

tasks_in_cohorts as (

    select
        tasks_dated.* exclude (release),
        cohorts.cohort_kind,
        case when cohorts.cohort_kind = 'release' then tasks_dated.release else 'all' end as release,
        fences.outlier_above

    from tasks_dated

    inner join fences
        on tasks_dated.billing_period_start = fences.billing_period_start
            and tasks_dated.team = fences.team
            and tasks_dated.workflow = fences.workflow
            and tasks_dated.billing_currency = fences.billing_currency

    cross join (values ('workflow'), ('release')) as cohorts (cohort_kind)

),

tasks_summed as (

    select
        billing_period_start,
        billing_period_end,
        team,
        workflow,
        cohort_kind,
        release,
        billing_currency,
        count(*) as tasks,
        count(*) filter (where outcome = 'success') as succeeded_tasks,
        count(*) filter (where outcome in ('failure', 'abandoned')) as failed_tasks,
        count(*) filter (where outcome is null) as unjudged_tasks,
        count(task_cost) as priced_tasks,
        count(task_cost) filter (where outcome = 'success') as priced_succeeded_tasks,
        count(*) filter (where task_cost > outlier_above) as outlier_tasks,
        sum(calls) as calls,
        sum(retries) as retries,
        sum(failed_calls) as failed_calls,
        sum(total_tokens) as total_tokens,
        median(wall_time_ms) as median_wall_time_ms,
        max(depth) as deepest,
        max(agents) as most_agents,
        sum(effective_cost) as effective_cost,
        sum(task_cost) as priced_cost,
        sum(task_cost) filter (where outcome = 'success') as succeeded_cost,
        sum(task_cost) filter (where outcome in ('failure', 'abandoned')) as failed_cost,
        sum(task_cost) filter (where outcome is null) as unjudged_cost,
        sum(task_cost) filter (where task_cost > outlier_above) as outlier_cost,
        any_value(outlier_above) as outlier_above,
        quantile_disc(task_cost, [0.5, 0.9, 0.95, 0.99]) as cost_percentiles,
        max(task_cost) as largest_task_cost

    from tasks_in_cohorts

    group by all

)

select
    billing_period_start,
    billing_period_end,
    team,
    workflow,
    cohort_kind,
    release,
    billing_currency,
    cast(tasks as bigint) as tasks,
    cast(succeeded_tasks as bigint) as succeeded_tasks,
    cast(failed_tasks as bigint) as failed_tasks,
    cast(unjudged_tasks as bigint) as unjudged_tasks,
    cast(priced_tasks as bigint) as priced_tasks,
    cast(outlier_tasks as bigint) as outlier_tasks,
    cast(calls as bigint) as calls,
    cast(retries as bigint) as retries,
    cast(failed_calls as bigint) as failed_calls,
    cast(total_tokens as bigint) as total_tokens,
    cast(median_wall_time_ms as bigint) as median_wall_time_ms,
    cast(deepest as bigint) as deepest,
    cast(most_agents as bigint) as most_agents,
    cast(effective_cost as decimal(38, 12)) as effective_cost,
    cast(priced_cost as decimal(38, 12)) as priced_cost,
    cast(succeeded_cost as decimal(38, 12)) as succeeded_cost,
    cast(failed_cost as decimal(38, 12)) as failed_cost,
    cast(unjudged_cost as decimal(38, 12)) as unjudged_cost,
    cast(outlier_cost as decimal(38, 12)) as outlier_cost,
    outlier_above,
    {{ per_one('priced_cost', 'priced_tasks') }} as cost_per_task,
    {{ per_one('priced_cost', 'priced_succeeded_tasks') }} as cost_per_successful_task,
    cost_percentiles[1] as cost_p50,
    cost_percentiles[2] as cost_p90,
    cost_percentiles[3] as cost_p95,
    cost_percentiles[4] as cost_p99,
    largest_task_cost

from tasks_summed
