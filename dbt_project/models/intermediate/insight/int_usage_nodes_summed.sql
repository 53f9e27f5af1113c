{{ config(materialized='view', database='scratch') }}

with charges as (

    select * from {{ ref('fct_charges') }}

),

{% set buckets = ['uncached_input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens'] %}

usage_charges as (

    select
        *,
        effective_cost is not null as is_priced

    from charges

    where charge_kind = 'usage'
        and charge_class is distinct from 'Correction'

)

select
    billing_period_start,
    team,
    workflow,
    billing_currency,
    provider,
    model,
    service_tier,
    cast(sum(calls) as bigint) as calls,
    cast(coalesce(sum(calls) filter (where is_priced), 0) as bigint) as priced_calls,
    {%- for bucket in buckets %}
    cast(coalesce(sum({{ bucket }}), 0) as bigint) as {{ bucket }},
    cast(coalesce(sum({{ bucket }}) filter (where is_priced), 0) as bigint) as priced_{{ bucket }},
    {%- endfor %}
    cast(sum(effective_cost) as decimal(38, 12)) as effective_cost

from usage_charges

group by all
