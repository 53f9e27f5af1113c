{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_dates('usage_date') }}"
    )
}}

-- depends_on: {{ ref('stg_plan__dates') }}

with calls as (

    select * from {{ ref('int_calls_deduplicated') }}

)

select
    usage_date,
    billing_date,
    billing_period_start,
    team,
    cost_center,
    business_unit,
    workflow,
    agent,
    provider,
    model,
    service_tier,
    environment,
    inference_path,
    purpose,
    cost_basis,
    unpriced_reason,
    billing_currency,
    billing_account_id,
    subscription_id,
    contract_id,
    sku_price_id,
    cast(sum(accelerator_seconds) as decimal(38, 12)) as accelerator_seconds,
    {{ summed_measures() }}

from calls

group by all
