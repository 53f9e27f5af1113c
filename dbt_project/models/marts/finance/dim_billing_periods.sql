{{ config(materialized='table') }}

with billing_periods as (

    select * from {{ ref('int_billing_periods_dated') }}

),

closed_periods as (

    select * from {{ ref('stg_plan__closed_periods') }}

)

select
    billing_periods.billing_period_start,
    billing_periods.billing_period_end,
    billing_periods.billing_time_zone,
    billing_periods.period_begins_at,
    billing_periods.period_ends_at,
    case
        when closed_periods.close_number is not null then 'closed'
        when closed_periods.soft_close_number is not null then 'soft_closed'
        else 'open'
    end as period_state,
    closed_periods.soft_closed_at,
    closed_periods.closed_at,
    closed_periods.close_number

from billing_periods

left join closed_periods
    on billing_periods.billing_period_start = closed_periods.billing_period_start
