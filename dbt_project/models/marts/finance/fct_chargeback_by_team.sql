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

planned_days as (

    select * from {{ ref('stg_plan__billing_days') }}

),

usage_days_of_touched_periods as (

    select * from usage_days

    {{ planned_periods_only() }}

)

select
    billing_period_start,
    cast(billing_period_start + interval 1 month as date) as billing_period_end,
    cost_center,
    team,
    billing_currency,
    {{ summed_measures() }}

from usage_days_of_touched_periods

group by all
