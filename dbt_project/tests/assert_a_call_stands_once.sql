-- Of all tellings of one call on the planned dates at most one stands.
with tellings_resolved as (

    select * from {{ ref('int_tellings_resolved') }}

),

standing as (

    select
        source,
        event_id,
        event_date
    from tellings_resolved
    where telling_state = 'standing'

)

select
    source,
    event_id,
    max(event_date) - min(event_date) as days_apart

from standing

group by source, event_id

having count(*) > 1 and max(event_date) - min(event_date) <= {{ var('same_call_days') }}
