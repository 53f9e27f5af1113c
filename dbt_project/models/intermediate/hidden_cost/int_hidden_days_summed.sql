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

-- What the agent was asked before, and when what was written to a cache is read again, both within task and day.
calls_in_order as (

    select
        *,
        lag(input_tokens) over (
            partition by usage_date, workflow, task_id, agent
            order by occurred_at, call_id
        ) as input_tokens_before,
        min(case when cache_read_tokens > 0 then occurred_at end) over (
            partition by usage_date, workflow, task_id, provider, model
            order by occurred_at, call_id
            rows between 1 following and unbounded following
        ) as read_at

    from calls

),

calls_classified as (

    select
        *,
        {{ call_purpose() }} as call_purpose,
        {{ call_rule() }} as call_rule,
        coalesce(uncached_input_tokens, 0) as uncached,
        coalesce(cache_read_tokens, 0) as read_again,
        coalesce(cache_write_tokens, 0) as written,
        -- A prompt that shrank was made anew: of it only what a cache held is known to have been sent before.
        case
            when task_id is not null and input_tokens >= input_tokens_before then input_tokens_before else 0
        end as sent_before,
        -- Written in the last hour of a day, it may have been read on the next one.
        coalesce(cache_write_tokens, 0) > 0
        and cast(occurred_at + interval 1 hour as date) = usage_date
        and (read_at is null or read_at > occurred_at + interval 1 hour) as is_unread

    from calls_in_order

),

calls_apart as (

    select
        *,
        call_purpose = 'generation' and effective_cost is not null as is_split,
        greatest(least(sent_before - read_again, uncached + written), 0) as carried,
        least(greatest(least(sent_before - read_again, uncached + written), 0), written) as carried_written

    from calls_classified

)

select
    usage_date,
    billing_period_start,
    team,
    workflow,
    provider,
    model,
    service_tier,
    billing_currency,
    call_purpose,
    call_rule,
    cast(count(*) as bigint) as calls,
    cast(sum(unpriced_calls) as bigint) as unpriced_calls,
    cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
    cast(sum(total_tokens) as bigint) as total_tokens,
    cast(sum(effective_cost) as decimal(38, 12)) as effective_cost,
    cast(coalesce(sum(read_again) filter (where is_split), 0) as bigint) as carried_read_tokens,
    cast(coalesce(sum(carried_written) filter (where is_split), 0) as bigint) as carried_written_tokens,
    cast(coalesce(sum(carried - carried_written) filter (where is_split), 0) as bigint) as carried_uncached_tokens,
    cast(coalesce(sum(uncached - carried + carried_written) filter (where is_split), 0) as bigint)
        as first_uncached_tokens,
    cast(coalesce(sum(written - carried_written) filter (where is_split and not is_unread), 0) as bigint)
        as first_written_tokens,
    cast(coalesce(sum(written - carried_written) filter (where is_split and is_unread), 0) as bigint)
        as unread_written_tokens,
    cast(coalesce(sum(output_tokens) filter (where is_split), 0) as bigint) as output_tokens

from calls_apart

group by all
