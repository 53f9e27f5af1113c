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

),

-- What a gateway answered from its own cache was bought from nobody: it is in no basket, and needs no price.
calls_bought as (

    select * from calls

    where sku_price_id is distinct from 'tollbook/gateway_cache_hit'

),

tokens_summed as (

    select
        usage_date,
        billing_period_start,
        provider,
        model,
        service_tier,
        list_cost is null as is_unpriced,
        {{ summed_token_units() }}

    from calls_bought

    group by all

),

token_units_summed as (

    {%- for unit in token_units() %}
    select
        usage_date,
        billing_period_start,
        provider,
        model,
        service_tier,
        is_unpriced,
        '{{ unit }}' as unit,
        {{ unit }} as consumed_quantity
    from tokens_summed
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

map_entries_of_calls as (

    {%- for units in ('tool_calls', 'other_units') %}
    select
        usage_date,
        billing_period_start,
        provider,
        model,
        service_tier,
        list_cost is null as is_unpriced,
        unnest(map_entries({{ units }})) as unit_entry
    from calls_bought
    where {{ units }} is not null
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

units_consumed as (

    select * from token_units_summed

    union all

    select
        usage_date,
        billing_period_start,
        provider,
        model,
        service_tier,
        is_unpriced,
        unit_entry.key as unit,
        unit_entry.value as consumed_quantity

    from map_entries_of_calls

)

select
    usage_date,
    billing_period_start,
    provider,
    model,
    service_tier,
    unit,
    cast(sum(consumed_quantity) as bigint) as consumed_quantity,
    cast(coalesce(sum(consumed_quantity) filter (where is_unpriced), 0) as bigint) as unpriced_quantity

from units_consumed

where consumed_quantity > 0

group by all
