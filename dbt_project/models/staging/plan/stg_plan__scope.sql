with source as (

    select * from {{ source('plan', 'scope') }}

)

select
    places_version,
    cast(open_period_start as date) as open_period_start

from source
