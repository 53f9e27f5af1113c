{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_periods_to_place() }}"
    )
}}

-- depends_on: {{ ref('stg_plan__billing_days') }}

with usage_days as (

    select * from {{ ref('int_usage_days_summed') }}

    {% if is_incremental() -%}
    where billing_period_start not in (select charges.billing_period_start from {{ this }} as charges)
    {%- endif %}

),

places as (

    select * from {{ ref('stg_plan__places') }}

),

plan_scope as (

    select * from {{ ref('stg_plan__scope') }}

),

{{ placed('usage_days', 'usage_days_placed', 'usage_days_in_units') }}

select
    usage_days_in_units.billing_period_start,
    plan_scope.places_version,
    usage_days_in_units.business_unit,
    usage_days_in_units.cost_center,
    usage_days_in_units.team,
    usage_days_in_units.workflow,
    usage_days_in_units.provider,
    usage_days_in_units.model,
    usage_days_in_units.service_tier,
    usage_days_in_units.inference_path,
    usage_days_in_units.billing_account_id,
    usage_days_in_units.subscription_id,
    usage_days_in_units.contract_id,
    usage_days_in_units.sku_price_id,
    usage_days_in_units.cost_basis,
    usage_days_in_units.billing_currency,
    cast(sum(usage_days_in_units.accelerator_seconds) as decimal(38, 12)) as accelerator_seconds,
    {{ summed_measures() }}

from usage_days_in_units

cross join plan_scope

group by all
