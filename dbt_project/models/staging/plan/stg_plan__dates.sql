with source as (

    select * from {{ source('plan', 'dates') }}

)

select
    event_date,
    {{ billing_period_start('event_date') }} as billing_period_start

from source
