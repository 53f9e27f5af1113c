{{ config(materialized='table', database='scratch') }}

with usage_lines as (

    select * from {{ ref('int_usage_charges_summed') }}

),

allocated_lines as (

    select * from {{ ref('int_charges_allocated_computed') }}

),

billing_periods as (

    select * from {{ ref('int_billing_periods_dated') }}

),

usage_charges as (

    select
        left(sha256(cast(json_array(
            'usage', billing_period_start, business_unit, cost_center, team, workflow, provider, model, service_tier,
            inference_path, billing_account_id, subscription_id, contract_id, sku_price_id, cost_basis, billing_currency
        ) as varchar)), 32) as charge_id,
        billing_period_start,
        'Usage' as charge_category,
        'Usage-Based' as charge_frequency,
        'usage' as charge_kind,
        provider || ' ' || model as charge_description,
        'usage' as source_kind,
        provider as source_id,
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
        list_cost,
        contracted_cost,
        effective_cost,
        provider as billed_by,
        'usage ' || provider as obligation,
        billing_currency,
        billing_currency as pricing_currency,
        contracted_cost as pricing_currency_contracted_cost,
        effective_cost as pricing_currency_effective_cost,
        cast(1 as decimal(38, 12)) as exchange_rate

    from usage_lines

),

charges as (

    select * from usage_charges

    union all by name

    select
        * exclude (billing_period_end, charge_period_start, charge_period_end),
        charge_period_start as allocated_period_start,
        charge_period_end as allocated_period_end,
        cast(0 as bigint) as calls,
        cast(0 as bigint) as unpriced_calls

    from allocated_lines

)

select
    charges.* exclude (allocated_period_start, allocated_period_end),
    billing_periods.billing_period_end,
    coalesce(charges.allocated_period_start, billing_periods.period_begins_at) as charge_period_start,
    coalesce(charges.allocated_period_end, billing_periods.period_ends_at) as charge_period_end

from charges

left join billing_periods
    on charges.billing_period_start = billing_periods.billing_period_start
