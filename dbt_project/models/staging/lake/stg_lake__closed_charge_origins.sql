with source as (

    select * from {{ source('lake', 'closed_charge_origins') }}

)

-- The columns are those of the version that closed the period.
select * -- noqa: AM04

from source
