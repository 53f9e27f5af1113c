with source as (

    select * from {{ source('book', 'lake_files') }}

)

select
    "path" as file_path,
    table_name,
    commit_number,
    event_date,
    topic,
    kafka_partition,
    told_rows,
    told_input_tokens,
    told_output_tokens,
    told_list_cost,
    told_contracted_cost,
    held_rows,
    held_input_tokens,
    held_output_tokens,
    held_list_cost,
    held_contracted_cost,
    live_calls,
    live_input_tokens,
    live_output_tokens,
    live_list_cost

from source
