{{ config(materialized='view', database='scratch') }}

with tellings as (

    select * from {{ ref('int_tellings_rated') }}

),

tellings_resolved as (

    select * from {{ ref('int_tellings_resolved') }}

),

billing_days as (

    select * from {{ ref('stg_plan__billing_days') }}

),

tellings_that_do_not_count as (

    select
        file_path,
        file_row_number
    from tellings_resolved
    where telling_state <> 'standing'

),

standing as (

    select tellings.*

    from tellings

    anti join tellings_that_do_not_count
        on tellings.file_row_number = tellings_that_do_not_count.file_row_number
            and tellings.file_path = tellings_that_do_not_count.file_path

),

-- The calendar's day is that of the instant: nobody sums UTC days into a month of another zone.
standing_dated as (

    select
        standing.*,
        billing_days.billing_date,
        billing_days.billing_period_start

    from standing

    left join billing_days
        on standing.event_date = billing_days.event_date
            and standing.occurred_at >= billing_days.begins_at
            and standing.occurred_at < billing_days.ends_at

),

measured as (

    select
        file_path,
        topic,
        kafka_partition,
        kafka_offset,
        record_item,
        row_commit_number,
        source,
        event_id,
        event_date as usage_date,
        billing_date,
        billing_period_start,
        occurred_at,
        coalesce(owner_team, 'unallocated') as team,
        coalesce(owner_cost_center, 'unallocated') as cost_center,
        coalesce(owner_business_unit, 'unallocated') as business_unit,
        owner_rule,
        coalesce(workflow, 'unknown') as workflow,
        task_id,
        coalesce(agent, 'unknown') as agent,
        coalesce(release, 'unknown') as release,
        call_id,
        parent_call_id,
        coalesce(provider, 'unknown') as provider,
        coalesce(model, 'unknown') as model,
        operation_name,
        coalesce(service_tier, 'default') as service_tier,
        billing_account_id,
        subscription_id,
        project_id,
        coalesce(product, 'unknown') as product,
        coalesce(customer_id, 'unknown') as customer_id,
        principal_id,
        coalesce(environment, 'unknown') as environment,
        coalesce(inference_path, 'unknown') as inference_path,
        coalesce(region, 'unknown') as region,
        coalesce(data_class, 'unknown') as data_class,
        coalesce(purpose, 'unknown') as purpose,
        coalesce(cost_basis, 'unpriced') as cost_basis,
        unpriced_reason,
        'USD' as billing_currency,
        status,
        outcome,
        latency_ms,
        attempt,
        coalesce(purpose = 'retry', false) or coalesce(attempt > 1, false) as is_retry,
        input_tokens,
        {{ known_sum('cache_read_tokens', 'cache_read_audio_tokens') }} as cache_read_tokens,
        {{ known_sum('cache_write_5m_tokens', 'cache_write_1h_tokens') }} as cache_write_tokens,
        output_tokens,
        reasoning_tokens,
        {{ known_sum('input_tokens', 'output_tokens') }} as total_tokens,
        {# Beside the counts that marts show, which join some of them. -#}
        struct_pack(
            {%- for unit in token_units() %}
            {{ unit }} := {{ unit }}{{ ',' if not loop.last }}
            {%- endfor %}
        ) as token_units,
        tool_calls,
        other_units,
        accelerator_seconds,
        coalesce(accelerator_type, 'unknown') as accelerator_type,
        list_cost,
        contracted_cost,
        contract_id,
        sku_price_id,
        catalogue_version,
        rating_sequence

    from standing_dated

)

select
    *,
    input_tokens - coalesce(cache_read_tokens, 0) - coalesce(cache_write_tokens, 0) as uncached_input_tokens,
    1 as calls,
    case when list_cost is null then 1 else 0 end as unpriced_calls,
    case when list_cost is null then total_tokens else 0 end as unpriced_tokens,
    -- What a call costs by itself: commitments and credits of a whole period are charges apart. No invoice is known,
    -- so what was billed is not.
    contracted_cost as effective_cost,
    cast(null as decimal(38, 12)) as billed_cost

from measured
