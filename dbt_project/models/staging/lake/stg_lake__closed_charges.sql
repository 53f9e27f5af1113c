with source as (

    select * from {{ source('lake', 'closed_charges') }}

)

select *

from source
