-- Every lost offset of the book is one of a gap that an operator accepted, and every accepted one is in the book.
with partition_totals as (

    select
        topic,
        kafka_partition,
        lost_offsets

    from {{ ref('fct_kafka_offsets') }}

),

accepted_gaps as (

    select
        topic,
        kafka_partition,
        sum(lost_offsets) as accepted_offsets

    from {{ ref('fct_offset_gaps') }}

    where gap_state = 'accepted'

    group by
        topic,
        kafka_partition

)

select
    coalesce(partition_totals.topic, accepted_gaps.topic) as topic,
    coalesce(partition_totals.kafka_partition, accepted_gaps.kafka_partition) as kafka_partition,
    coalesce(partition_totals.lost_offsets, 0) as lost_offsets,
    coalesce(accepted_gaps.accepted_offsets, 0) as accepted_offsets

from partition_totals

full join accepted_gaps
    on partition_totals.topic = accepted_gaps.topic
        and partition_totals.kafka_partition = accepted_gaps.kafka_partition

where coalesce(partition_totals.lost_offsets, 0) <> coalesce(accepted_gaps.accepted_offsets, 0)
