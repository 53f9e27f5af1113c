{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_computed_periods('int_customer_concentration_computed') }}"
    )
}}

with computed as (

    select * from {{ ref('int_customer_concentration_computed') }}

)

select
    billing_period_start,
    cast(billing_period_start + interval 1 month as date) as billing_period_end,
    product,
    measure,
    customers,
    quantity,
    unknown_quantity,
    gini,
    largest_share,
    top_1_percent_share,
    top_10_percent_share,
    customers_with_half,
    customers_with_90_percent,
    lorenz_shares

from computed

where measure is not null
