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

)

select
    usage_date,
    workflow,
    task_id,
    billing_currency,
    min(occurred_at) as started_at,
    max(occurred_at) as ended_at,
    arg_min(team, (occurred_at, team)) as first_team,
    list(distinct team) as teams,
    list(distinct agent) as agents,
    list(distinct model) as models,
    arg_max(outcome, (occurred_at, outcome)) filter (where outcome is not null) as last_outcome,
    max(occurred_at) filter (where outcome is not null) as last_outcome_at,
    count(*) filter (where status in ('error', 'cancelled', 'timeout')) as failed_calls,
    count(*) filter (where is_retry) as retries,
    {{ summed_measures() }}

from calls

group by all
