{{ config(materialized='table') }}

with charges as (

    select * from {{ ref('int_period_charges_computed') }}

)

select
    charge_id,
    charge_sequence,
    billing_period_first_date as billing_period_start,
    billing_period_end_date as billing_period_end,
    charge_period_start,
    charge_period_end,
    service_period_start,
    service_period_end,
    charge_category,
    charge_class,
    charge_frequency,
    charge_kind,
    charge_description,
    provider,
    billing_account_id,
    contract_id,
    term_id,
    model,
    service_tier,
    sku_price_id,
    tier_from,
    consumed_quantity,
    consumed_unit,
    list_cost,
    contracted_cost,
    effective_cost,
    billing_currency,
    billing_currency_amount,
    exchange_rate,
    exchange_rate_date,
    unpriced_calls,
    unpriced_tokens,
    corrects_period_first_date as corrects_period_start,
    contract_version,
    catalogue_version

from charges
