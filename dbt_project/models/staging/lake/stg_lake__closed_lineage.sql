with source as (

    select * from {{ source('lake', 'closed_lineage') }}

)

select *

from source
