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
        {{ usage_charge_id() }} as charge_id,
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
    charges.charge_id,
    charges.billing_period_start,
    charges.charge_category,
    charges.charge_class,
    charges.charge_frequency,
    charges.charge_kind,
    charges.charge_component,
    charges.charge_description,
    charges.source_kind,
    charges.source_id,
    charges.origin_charge_id,
    charges.allocated_method_id,
    charges.allocated_method_details,
    charges.allocated_ratio,
    charges.business_unit,
    charges.cost_center,
    charges.team,
    charges.workflow,
    charges.provider,
    charges.model,
    charges.service_tier,
    charges.inference_path,
    charges.billing_account_id,
    charges.contract_id,
    charges.subscription_id,
    charges.sku_price_id,
    charges.cost_basis,
    charges.corrects_period_start,
    charges.reference_entry,
    charges.billed_by,
    charges.obligation,
    charges.calls,
    charges.unpriced_calls,
    charges.unpriced_tokens,
    charges.input_tokens,
    charges.uncached_input_tokens,
    charges.cache_read_tokens,
    charges.cache_write_tokens,
    charges.output_tokens,
    charges.reasoning_tokens,
    charges.total_tokens,
    charges.accelerator_seconds,
    charges.measured_quantity,
    charges.measured_unit,
    charges.list_cost,
    charges.contracted_cost,
    charges.effective_cost,
    charges.billing_currency,
    charges.pricing_currency,
    charges.pricing_currency_contracted_cost,
    charges.pricing_currency_effective_cost,
    charges.exchange_rate,
    billing_periods.billing_period_end,
    coalesce(charges.allocated_period_start, billing_periods.period_begins_at) as charge_period_start,
    coalesce(charges.allocated_period_end, billing_periods.period_ends_at) as charge_period_end

from charges

left join billing_periods
    on charges.billing_period_start = billing_periods.billing_period_start
