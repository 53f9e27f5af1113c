with source as (

    select * from {{ source('plan', 'scope') }}

)

select places_version

from source
