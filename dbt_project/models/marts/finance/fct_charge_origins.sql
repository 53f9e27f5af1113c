{{ config(materialized='table') }}

with origins as (

    select
        *,
        cast(null as varchar) as corrects_charge_id

    from {{ ref('int_charge_origins_computed') }}

),

closed as (

    select * from origins
    where false

    union all by name

    select * from {{ ref('stg_lake__closed_charge_origins') }}

),

{{
    settled(
        restated='origins',
        closed='closed',
        key=['charge_id', 'pricing_currency'],
        measures=[
            'list_cost',
            'contracted_cost',
            'effective_cost',
            'pricing_currency_contracted_cost',
            'pricing_currency_effective_cost',
        ],
        correction={
            'charge_id': correction_id('said.charge_id'),
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
    provider,
    model,
    contract_id,
    corrects_period_start,
    corrects_charge_id,
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

from settled
