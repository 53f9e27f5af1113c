{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_dates('event_date') }}"
    )
}}

-- depends_on: {{ ref('stg_plan__dates') }}

with tellings_resolved as (

    select * from {{ ref('int_tellings_resolved') }}

),

conflicts as (

    select
        *,
        row_number() over (
            partition by event_date order by commit_number, topic, kafka_partition, kafka_offset, record_item
        ) as conflict_number

    from tellings_resolved

    where telling_state = 'conflict'

)

select
    event_date,
    topic,
    kafka_partition,
    kafka_offset,
    record_item,
    commit_number,
    source,
    event_id,
    revision,
    reporter,
    occurred_at,
    ingested_at,
    provider,
    model,
    owner_team as team,
    workflow,
    input_tokens,
    output_tokens,
    cast(list_cost as decimal(38, 12)) as list_cost,
    accepted_topic,
    accepted_kafka_partition,
    accepted_kafka_offset,
    accepted_record_item,
    accepted_input_tokens,
    accepted_output_tokens,
    cast(accepted_list_cost as decimal(38, 12)) as accepted_list_cost

from conflicts

where conflict_number <= {{ var('conflicts_listed_a_date') }}
