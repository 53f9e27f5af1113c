{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_remade_pairs() }}"
    )
}}

with effects as (

    select * from {{ ref('int_price_volume_mix_computed') }}

)

select
    from_period_start,
    to_period_start,
    team,
    workflow,
    billing_currency,
    effect,
    effect_cost,
    inputs_version

from effects

where effect is not null
