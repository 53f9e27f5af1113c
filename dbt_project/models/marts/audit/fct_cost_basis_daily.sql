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
    provider,
    model,
    cost_basis,
    billing_currency,
    {{ summed_measures() }}

from usage_days_of_planned_dates

group by all
