with source as (

    select * from {{ source('plan', 'files') }}

)

select
    "path" as file_path,
    "role" as file_role,
    commit_number

from source

where commit_number is not null
