{{ config(materialized='table') }}

with billing_periods as (

    select * from {{ ref('int_billing_periods_dated') }}

)

select
    billing_period_start,
    billing_period_end,
    billing_time_zone,
    period_begins_at,
    period_ends_at

from billing_periods
