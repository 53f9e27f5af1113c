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
    billing_period_start,
    team,
    workflow,
    billing_currency,
    task_id,
    cast(sum(calls) as bigint) as calls

from calls

group by all
