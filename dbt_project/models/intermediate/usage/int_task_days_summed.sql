{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_dates('usage_date') }}"
    )
}}

-- depends_on: {{ ref('stg_plan__dates') }}

with calls as (

    select * from {{ ref('int_calls_deduplicated') }}

),

call_trees as (

    select * from {{ ref('int_call_trees_walked') }}

),

task_days as (

    select
        usage_date,
        workflow,
        task_id,
        billing_currency,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        min(occurred_at - to_milliseconds(coalesce(latency_ms, 0))) as begun_at,
        arg_min(team, (occurred_at, team)) as first_team,
        list(distinct team) as teams,
        list(distinct agent) as agents,
        list(distinct model) as models,
        arg_max(release, (occurred_at, release)) as last_release,
        arg_max(outcome, (occurred_at, outcome)) filter (where outcome is not null) as last_outcome,
        max(occurred_at) filter (where outcome is not null) as last_outcome_at,
        count(*) filter (where status in ('error', 'cancelled', 'timeout')) as failed_calls,
        count(*) filter (where is_retry) as retries,
        {{ summed_measures() }}

    from calls

    group by all

),

task_trees as (

    select
        usage_date,
        workflow,
        task_id,
        max(depth) as depth,
        max(calls_below) as width

    from call_trees

    group by all

)

select
    task_days.*,
    coalesce(task_trees.depth, 1) as depth,
    coalesce(task_trees.width, 0) as width

from task_days

left join task_trees
    on task_days.usage_date = task_trees.usage_date
        and task_days.workflow = task_trees.workflow
        and task_days.task_id = task_trees.task_id
