with source as (

    select * from {{ source('lake', 'closed_charge_origins') }}

)

select *

from source
