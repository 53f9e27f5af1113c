{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_dates('usage_date') }}"
    )
}}

with usage_days as (

    select * from {{ ref('int_usage_days_summed') }}

),

planned_dates as (

    select * from {{ ref('stg_plan__dates') }}

),

usage_days_of_planned_dates as (

    select * from usage_days

    {{ planned_dates_only('usage_date') }}

)

select
    usage_date,
    team,
    workflow,
    provider,
    model,
    service_tier,
    coalesce(unpriced_reason, 'unknown') as unpriced_reason,
    cast(sum(unpriced_calls) as bigint) as unpriced_calls,
    cast(sum(unpriced_tokens) as bigint) as unpriced_tokens

from usage_days_of_planned_dates

where unpriced_calls > 0

group by all
