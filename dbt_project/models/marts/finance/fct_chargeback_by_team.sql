{{ config(materialized='table') }}

with charges as (

    select * from {{ ref('fct_charges') }}

)

select
    billing_period_start,
    cast(billing_period_start + interval 1 month as date) as billing_period_end,
    cost_center,
    team,
    billing_currency,
    {{ summed_charges() }}

from charges

group by all
