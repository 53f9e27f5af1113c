-- The calls behind a line of usage are the line, in every count and cost; and nothing follows from calls but usage.
with usage_charges as (

    select * from {{ ref('fct_charges') }}

    where charge_kind = 'usage'

),

calls as (

    select * from {{ ref('fct_lineage') }}

    where lineage_kind = 'calls'

),

amounts as (

    select
        charge_id,
        pricing_currency,
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
        effective_cost

    from usage_charges

    union all

    select
        charge_id,
        pricing_currency,
        -calls as calls,
        -unpriced_calls as unpriced_calls,
        -unpriced_tokens as unpriced_tokens,
        -input_tokens as input_tokens,
        -uncached_input_tokens as uncached_input_tokens,
        -cache_read_tokens as cache_read_tokens,
        -cache_write_tokens as cache_write_tokens,
        -output_tokens as output_tokens,
        -reasoning_tokens as reasoning_tokens,
        -total_tokens as total_tokens,
        -accelerator_seconds as accelerator_seconds,
        -list_cost as list_cost,
        -contracted_cost as contracted_cost,
        -effective_cost as effective_cost

    from calls

)

select
    charge_id,
    pricing_currency

from amounts

group by all

having
    sum(calls) <> 0
    or sum(unpriced_calls) <> 0
    or sum(unpriced_tokens) <> 0
    or sum(input_tokens) <> 0
    or sum(uncached_input_tokens) <> 0
    or sum(cache_read_tokens) <> 0
    or sum(cache_write_tokens) <> 0
    or sum(output_tokens) <> 0
    or sum(reasoning_tokens) <> 0
    or sum(total_tokens) <> 0
    or sum(accelerator_seconds) <> 0
    or sum(list_cost) <> 0
    or sum(contracted_cost) <> 0
    or sum(effective_cost) <> 0
