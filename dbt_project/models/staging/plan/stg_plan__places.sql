with source as (

    select * from {{ source('plan', 'places') }}

)

select
    unit,
    "name" as unit_name,
    parent as parent_name,
    valid_from,
    valid_to

from source
