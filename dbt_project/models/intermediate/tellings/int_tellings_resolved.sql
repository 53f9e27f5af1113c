{{ config(materialized='table', database='scratch') }}

with planned as (

    select
        *,
        true as is_planned
    from {{ ref('int_tellings_rated') }}

),

elsewhere as (

    select
        *,
        false as is_planned
    from {{ ref('int_tellings_elsewhere_rated') }}

),

files as (

    select * from {{ ref('stg_plan__files') }}

),

tellings as (

    select * from planned

    union all

    select * from elsewhere

),

-- Finding the few calls that were told more than once is cheap; ranking every telling is not.
call_keys_told_twice as (

    select call_key

    from (

        select call_key from planned

        union all

        select call_key from elsewhere

    ) as call_keys

    group by call_key

    having count(*) > 1

),

tellings_in_question as (

    select tellings.*

    from tellings

    left join call_keys_told_twice
        on tellings.call_key = call_keys_told_twice.call_key

    where call_keys_told_twice.call_key is not null or tellings.telling_action = 'void'

),

-- What a stream had told when it broke off, or a tool estimated, gives way to what the provider reported, whatever the
-- revision: a session file's half an answer must not take the place of a gateway's whole one.
tellings_with_content as (

    select
        tellings_in_question.*,
        coalesce(tellings_in_question.row_commit_number, files.commit_number) as commit_number,
        case
            when tellings_in_question.usage_basis = 'estimated' and tellings_in_question.telling_action = 'record'
                then cast(tellings_in_question.revision as bigint)
            else tellings_in_question.revision + {{ var('reported_rank') }}
        end as telling_rank,
        hash(
            tellings_in_question.telling_action,
            tellings_in_question.provider,
            tellings_in_question.model,
            tellings_in_question.input_tokens is null,
            tellings_in_question.output_tokens is null,
            {{ counted_buckets('tellings_in_question') }},
            list_sort(map_entries(coalesce(tellings_in_question.tool_calls, map()))),
            list_sort(map_entries(coalesce(tellings_in_question.other_units, map())))
        ) as content_hash

    from tellings_in_question

    inner join files
        on tellings_in_question.file_path = files.file_path

),

-- An id that comes back after more than `same_call_days` is another call.
dates_apart as (

    select
        *,
        event_date - lag(event_date) over (
            partition by source, event_id order by event_date
        ) as days_since_last

    from tellings_with_content

),

calls_told as (

    select
        *,
        count(*) filter (where days_since_last > {{ var('same_call_days') }}) over (
            partition by source, event_id
            order by event_date
            range between unbounded preceding and current row
        ) as call_number

    from dates_apart

),

tellings_compared as (

    select
        *,
        max(telling_rank) over (
            partition by source, event_id, call_number
        ) as highest_rank,
        row_number() over first_told as telling_number,
        first_value(content_hash) over first_told as accepted_content_hash,
        first_value(topic) over first_told as accepted_topic,
        first_value(kafka_partition) over first_told as accepted_kafka_partition,
        first_value(kafka_offset) over first_told as accepted_kafka_offset,
        first_value(record_item) over first_told as accepted_record_item,
        first_value(input_tokens) over first_told as accepted_input_tokens,
        first_value(output_tokens) over first_told as accepted_output_tokens,
        first_value(list_cost) over first_told as accepted_list_cost

    from calls_told

    window first_told as (
        partition by source, event_id, call_number, telling_rank
        order by commit_number, topic, kafka_partition, kafka_offset, record_item
    )

)

select
    file_path,
    file_row_number,
    topic,
    kafka_partition,
    kafka_offset,
    record_item,
    commit_number,
    source,
    event_id,
    revision,
    telling_action,
    reporter,
    event_date,
    occurred_at,
    ingested_at,
    provider,
    model,
    owner_team,
    workflow,
    input_tokens,
    output_tokens,
    list_cost,
    accepted_topic,
    accepted_kafka_partition,
    accepted_kafka_offset,
    accepted_record_item,
    accepted_input_tokens,
    accepted_output_tokens,
    accepted_list_cost,
    case
        when telling_number > 1 and content_hash = accepted_content_hash then 'duplicate'
        when telling_number > 1 then 'conflict'
        when telling_rank < highest_rank then 'superseded'
        when telling_action = 'void' then 'voided'
        else 'standing'
    end as telling_state

from tellings_compared

where is_planned
