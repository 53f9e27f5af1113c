with source as (

    select * from {{ source('plan', 'scope') }}

)

select
    places_version,
    cast(open_period_start as date) as open_period_start,
    person_salt,
    cast(erased_persons as varchar[]) as erased_persons

from source
