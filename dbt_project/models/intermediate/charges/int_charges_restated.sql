{{ config(materialized='table', database='scratch') }}

with charges as (

    select * from {{ ref('int_charges_joined') }}

),

billed_charges as (

    select * from {{ ref('int_charges_billed_computed') }}

),

-- What an invoice bills and no charge is there for: it cost nothing yet, and stays in sight.
unplaced as (

    select
        charge_id,
        billing_period_start,
        cast(billing_period_start + interval 1 month as date) as billing_period_end,
        'Adjustment' as charge_category,
        'One-Time' as charge_frequency,
        'invoice_unplaced' as charge_kind,
        'Invoiced, and there is no charge for it' as charge_description,
        'invoice' as source_kind,
        obligation as source_id,
        'unallocated' as business_unit,
        'unallocated' as cost_center,
        'unallocated' as team,
        'unallocated' as workflow,
        model,
        cast(0 as bigint) as calls,
        cast(0 as bigint) as unpriced_calls,
        cast(0 as decimal(38, 12)) as list_cost,
        cast(0 as decimal(38, 12)) as contracted_cost,
        cast(0 as decimal(38, 12)) as effective_cost,
        billed_cost,
        obligation,
        'USD' as billing_currency,
        pricing_currency,
        cast(0 as decimal(38, 12)) as pricing_currency_contracted_cost,
        cast(0 as decimal(38, 12)) as pricing_currency_effective_cost,
        pricing_currency_billed_cost

    from billed_charges

    where is_unplaced

),

-- The organisation's own cost is billed by itself, when it falls due.
charges_billed as (

    select
        charges.*,
        case
            when charges.billed_by is null then charges.contracted_cost
            else billed_charges.billed_cost
        end as billed_cost,
        case
            when charges.billed_by is null then charges.pricing_currency_contracted_cost
            else billed_charges.pricing_currency_billed_cost
        end as pricing_currency_billed_cost

    from charges

    left join billed_charges
        on charges.charge_id = billed_charges.charge_id
            and charges.pricing_currency = billed_charges.pricing_currency

),

all_charges as (

    select * from charges_billed

    union all by name

    select * from unplaced

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
    cast(null as varchar) as corrects_charge_id,
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

from all_charges
