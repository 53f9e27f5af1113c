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
    billing_period_start,
    workflow,
    inference_path,
    region,
    data_class,
    provider,
    model,
    accelerator_type,
    billing_currency,
    cast(sum(calls) as bigint) as calls,
    cast(sum(unpriced_calls) as bigint) as unpriced_calls,
    cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
    cast(sum(input_tokens) as bigint) as input_tokens,
    cast(sum(cache_read_tokens) as bigint) as cache_read_tokens,
    cast(sum(cache_write_tokens) as bigint) as cache_write_tokens,
    cast(sum(output_tokens) as bigint) as output_tokens,
    cast(sum(total_tokens) as bigint) as total_tokens,
    cast(sum(total_tokens) filter (where accelerator_seconds is not null) as bigint) as accelerated_tokens,
    cast(sum(effective_cost) as decimal(38, 12)) as effective_cost,
    cast(sum(accelerator_seconds) as decimal(38, 12)) as accelerator_seconds

from calls

group by all
