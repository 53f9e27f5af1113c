{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_computed_periods('int_subsidies_computed') }}"
    )
}}

with computed as (

    select * from {{ ref('int_subsidies_computed') }}

)

select
    billing_period_start,
    cast(billing_period_start + interval 1 month as date) as billing_period_end,
    subscription_id,
    person,
    vendor,
    plan,
    'USD' as billing_currency,
    calls,
    unpriced_calls,
    unpriced_tokens,
    total_tokens,
    list_cost,
    fee_cost,
    subsidy_multiple,
    own_terms_cost,
    cheapest_plan,
    cheapest_cost,
    usage_rank,
    usage_share,
    lorenz_persons,
    lorenz_usage,
    persons,
    seats,
    unused_seats,
    plan_list_cost,
    plan_fee_cost,
    plan_multiple,
    gini,
    top_1_percent_share,
    top_10_percent_share,
    inputs_version

from computed

where person is not null
