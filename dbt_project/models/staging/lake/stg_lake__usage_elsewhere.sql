with tellings as (

    {{ stage_tellings(source('lake', 'usage_elsewhere')) }}

),

cross_date_keys as (

    select * from {{ source('plan', 'cross_date_keys') }}

)

select tellings.*

from tellings

semi join cross_date_keys
    on tellings.call_key = cross_date_keys.call_key
        and tellings.event_date = cross_date_keys.event_date
