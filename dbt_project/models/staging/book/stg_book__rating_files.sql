with source as (

    select * from {{ source('book', 'rating_files') }}

)

select
    "path" as file_path,
    rating_sequence,
    event_date,
    told_rows,
    told_list_cost_difference,
    told_contracted_cost_difference

from source
