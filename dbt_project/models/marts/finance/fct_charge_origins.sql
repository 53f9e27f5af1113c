{{ config(materialized='table') }}

with origins as (

    select * from {{ ref('int_charge_origins_computed') }}

)

select
    charge_id,
    billing_period_start,
    billing_period_end,
    charge_period_start,
    charge_period_end,
    charge_category,
    charge_class,
    charge_frequency,
    charge_kind,
    charge_component,
    charge_description,
    source_kind,
    source_id,
    provider,
    model,
    contract_id,
    corrects_period_start,
    reference_entry,
    billed_by,
    obligation,
    measured_quantity,
    measured_unit,
    list_cost,
    contracted_cost,
    effective_cost,
    billing_currency,
    pricing_currency,
    pricing_currency_contracted_cost,
    pricing_currency_effective_cost,
    exchange_rate

from origins
