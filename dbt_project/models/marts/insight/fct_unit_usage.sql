{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_periods() }}"
    )
}}

with unit_days as (

    select * from {{ ref('int_unit_days_summed') }}

),

planned_days as (

    select * from {{ ref('stg_plan__billing_days') }}

),

unit_days_of_touched_periods as (

    select * from unit_days

    {{ planned_periods_only() }}

)

select
    billing_period_start,
    cast(billing_period_start + interval 1 month as date) as billing_period_end,
    provider,
    model,
    service_tier,
    unit,
    cast(sum(consumed_quantity) as bigint) as consumed_quantity,
    cast(sum(unpriced_quantity) as bigint) as unpriced_quantity

from unit_days_of_touched_periods

group by all
