with source as (

    select * from {{ source('plan', 'billing_days') }}

)

select
    event_date,
    billing_date,
    billing_period_start,
    begins_at,
    ends_at

from source
