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
    provider,
    billing_account_id,
    model,
    service_tier,
    contract_id,
    sku_price_id,
    cost_basis,
    catalogue_version,
    cast(sum(calls) as bigint) as calls,
    cast(sum(unpriced_calls) as bigint) as unpriced_calls,
    cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
    {%- for unit in token_units() %}
    cast(sum(struct_extract(token_units, '{{ unit }}')) as bigint) as {{ unit }},
    {%- endfor %}
    cast(sum(list_cost) as decimal(38, 12)) as list_cost,
    cast(sum(contracted_cost) as decimal(38, 12)) as contracted_cost

from calls

group by all
