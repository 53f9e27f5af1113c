{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_periods() }}"
    )
}}

with tasks_owned as (

    select * from {{ ref('int_tasks_owned_summed') }}

),

planned_days as (

    select * from {{ ref('stg_plan__billing_days') }}

),

tasks_of_touched_periods as (

    select * from tasks_owned

    {{ planned_periods_only() }}

)

select
    billing_period_start,
    team,
    workflow,
    billing_currency,
    count(distinct task_id) as tasks,
    cast(sum(calls) as bigint) as calls,
    cast(coalesce(sum(calls) filter (where task_id is null), 0) as bigint) as calls_without_task

from tasks_of_touched_periods

group by all
