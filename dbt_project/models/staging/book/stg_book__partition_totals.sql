with source as (

    select * from {{ source('book', 'partition_totals') }}

)

select
    topic,
    kafka_partition,
    first_offset,
    next_offset,
    records,
    tombstones,
    control_offsets,
    aborted_offsets,
    missing_offsets,
    lost_offsets,
    usage_rows,
    reject_rows,
    silent_records,
    further_items,
    input_tokens,
    output_tokens,
    list_cost,
    contracted_cost

from source
