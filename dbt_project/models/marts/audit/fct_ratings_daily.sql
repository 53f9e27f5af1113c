{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_dates('event_date') }}"
    )
}}

with telling_days as (

    select * from {{ ref('int_telling_days_summed') }}

),

planned_dates as (

    select * from {{ ref('stg_plan__dates') }}

),

telling_days_of_planned_dates as (

    select * from telling_days

    {{ planned_dates_only('event_date') }}

)

select
    event_date,
    catalogue_version,
    rating_sequence,
    tellings as calls,
    list_cost,
    contracted_cost,
    metered_list_cost,
    metered_contracted_cost

from telling_days_of_planned_dates

where telling_state = 'standing'
