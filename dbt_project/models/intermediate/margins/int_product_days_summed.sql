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
    product,
    customer_id,
    billing_currency,
    cast(sum(calls) as bigint) as calls,
    cast(sum(unpriced_calls) as bigint) as unpriced_calls,
    cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
    cast(sum(total_tokens) as bigint) as total_tokens,
    cast(sum(list_cost) as decimal(38, 12)) as list_cost,
    cast(sum(effective_cost) as decimal(38, 12)) as effective_cost

from calls

group by all
