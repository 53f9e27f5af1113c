{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_periods() }}"
    )
}}

with usage_days as (

    select * from {{ ref('int_usage_days_summed') }}

),

planned_dates as (

    select * from {{ ref('stg_plan__dates') }}

),

usage_days_of_touched_periods as (

    select * from usage_days

    {% if is_incremental() -%}
    where billing_period_start in (select planned_dates.billing_period_start from planned_dates)
    {%- endif %}

)

select
    billing_period_start,
    cast(billing_period_start + interval 1 month as date) as billing_period_end,
    team,
    workflow,
    billing_currency,
    {{ summed_measures() }}

from usage_days_of_touched_periods

group by all
