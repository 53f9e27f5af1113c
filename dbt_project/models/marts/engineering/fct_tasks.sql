{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_touched_tasks() }}"
    )
}}

-- depends_on: {{ ref('stg_plan__dates') }}

with task_days as (

    select * from {{ ref('int_task_days_summed') }}

),

days_of_touched_tasks as (

    select task_days.* from task_days

    {% if is_incremental() -%}
    semi join tasks_touched
        on task_days.workflow = tasks_touched.workflow
            and task_days.task_id = tasks_touched.task_id

    semi join task_dates_touched
        on task_days.usage_date = task_dates_touched.usage_date

    {% endif -%}
    where task_days.task_id is not null

)

select
    workflow,
    task_id,
    arg_min(first_team, (started_at, first_team)) as team,
    min(started_at) as started_at,
    max(ended_at) as ended_at,
    date_diff('millisecond', min(begun_at), max(ended_at)) as wall_time_ms,
    arg_max(last_release, (ended_at, last_release)) as release,
    len(list_distinct(flatten(list(teams)))) as teams,
    len(list_distinct(flatten(list(agents)))) as agents,
    len(list_distinct(flatten(list(models)))) as models,
    cast(max(depth) as bigint) as depth,
    cast(max(width) as bigint) as width,
    cast(sum(failed_calls) as bigint) as failed_calls,
    cast(sum(retries) as bigint) as retries,
    arg_max(last_outcome, (last_outcome_at, last_outcome)) filter (where last_outcome is not null) as outcome,
    billing_currency,
    {{ summed_measures() }}

from days_of_touched_tasks

group by all

-- Whoever asks for a month reads that month's rows alone, as after builds that took a day each.
order by min(started_at)
