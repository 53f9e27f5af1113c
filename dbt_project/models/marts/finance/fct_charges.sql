{{ config(materialized='table') }}

with restated as (

    select * from {{ ref('int_charges_restated') }}

),

closed as (

    select * from restated
    where false

    union all by name

    select * from {{ ref('stg_lake__closed_charges') }}

),

{{
    settled(
        restated='restated',
        closed='closed',
        key=['charge_id', 'pricing_currency'],
        measures=charge_quantities() + [
            'list_cost',
            'contracted_cost',
            'effective_cost',
            'billed_cost',
            'pricing_currency_contracted_cost',
            'pricing_currency_effective_cost',
            'pricing_currency_billed_cost',
        ],
        correction={
            'charge_id': correction_id('said.charge_id'),
            'origin_charge_id': 'case when said.origin_charge_id is not null then '
                ~ correction_id('said.origin_charge_id') ~ ' end',
            'billing_period_end': 'open_periods.open_period_end',
            'charge_class': "'Correction'",
            'charge_description': correction_text(),
        }
    )
}}

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
    origin_charge_id,
    allocated_method_id,
    allocated_method_details,
    allocated_ratio,
    business_unit,
    cost_center,
    team,
    workflow,
    provider,
    model,
    service_tier,
    inference_path,
    billing_account_id,
    contract_id,
    subscription_id,
    sku_price_id,
    cost_basis,
    corrects_period_start,
    corrects_charge_id,
    reference_entry,
    billed_by,
    obligation,
    calls,
    unpriced_calls,
    unpriced_tokens,
    input_tokens,
    uncached_input_tokens,
    cache_read_tokens,
    cache_write_tokens,
    output_tokens,
    reasoning_tokens,
    total_tokens,
    accelerator_seconds,
    measured_quantity,
    measured_unit,
    list_cost,
    contracted_cost,
    effective_cost,
    billed_cost,
    billing_currency,
    pricing_currency,
    pricing_currency_contracted_cost,
    pricing_currency_effective_cost,
    pricing_currency_billed_cost,
    exchange_rate

from settled
