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
    offer_id,
    vendor,
    plan,
    'USD' as billing_currency,
    persons,
    offer_persons,
    offer_seats,
    offer_mix_cost,
    offer_uniform_cost,
    plan_list_cost,
    plan_fee_cost,
    inputs_version

from computed

where offer_id is not null
