with source as (

    select * from {{ source('plan', 'dates') }}

)

select event_date

from source
