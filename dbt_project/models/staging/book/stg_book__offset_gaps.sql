with source as (

    select * from {{ source('book', 'offset_gaps') }}

)

select
    gap_number,
    topic,
    kafka_partition,
    gap_kind,
    gap_state,
    first_offset,
    next_offset,
    lost_offsets,
    loss_is_known,
    offset_base_before,
    offset_base_after,
    kafka_first_offset,
    kafka_end_offset,
    topic_id_before,
    topic_id_after,
    detected_commit,
    detected_at,
    settled_at,
    accepted_by,
    accepted_reason,
    description

from source
