{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_computed_periods('int_unit_cost_paths_computed') }}"
    )
}}

with computed as (

    select * from {{ ref('int_unit_cost_paths_computed') }}

)

select
    billing_period_start,
    cast(billing_period_start + interval 1 month as date) as billing_period_end,
    workload,
    inference_path,
    'USD' as billing_currency,
    workflows,
    calls,
    unpriced_calls,
    unpriced_tokens,
    input_tokens,
    cache_read_tokens,
    output_tokens,
    total_tokens,
    tasks,
    covered_hours,
    workload_cost,
    observed_calls,
    observed_tokens,
    observed_cost,
    path_cost,
    cost_per_million_tokens,
    cost_per_million_output_tokens,
    cost_per_task,
    is_cheapest,
    excluded_reason,
    cost_kind,
    offer_id,
    vendor,
    region,
    instance,
    accelerator,
    price_source,
    price_observed_on,
    instance_cost,
    instance_hourly_cost,
    served_model,
    throughput_basis,
    figure_id,
    throughput_source,
    throughput_observed_on,
    output_tokens_per_second,
    planned_utilisation,
    instances,
    accelerators,
    utilisation,
    break_even_tokens,
    break_even_utilisation,
    break_even_reason,
    api_price_decline,
    break_even_tokens_in_a_year,
    break_even_utilisation_in_a_year,
    break_even_tokens_over_life,
    break_even_utilisation_over_life,
    other_life_months,
    other_life_cost,
    break_even_tokens_at_other_life,
    break_even_utilisation_at_other_life,
    payback_months,
    caveats,
    inputs_version

from computed

where workload is not null
