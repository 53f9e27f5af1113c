{{ config(materialized='table') }}

with partition_totals as (

    select * from {{ ref('stg_book__partition_totals') }}

)

select
    topic,
    kafka_partition,
    first_offset,
    next_offset,
    records,
    usage_rows,
    reject_rows,
    silent_records,
    further_items,
    tombstones,
    control_offsets,
    aborted_offsets,
    missing_offsets,
    lost_offsets

from partition_totals
