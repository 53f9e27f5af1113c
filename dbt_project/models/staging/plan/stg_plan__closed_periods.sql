with source as (

    select * from {{ source('plan', 'closed_periods') }}

)

select
    billing_period_start,
    soft_close_number,
    soft_closed_at,
    close_number,
    closed_at,
    lake_commit,
    told_charges,
    told_calls,
    told_contracted_cost,
    told_effective_cost,
    told_billed_cost

from source
