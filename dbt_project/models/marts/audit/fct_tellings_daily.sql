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

)

select
    event_date,
    telling_state,
    telling_state in ('standing', 'superseded', 'voided') as is_accepted,
    tellings,
    input_tokens,
    output_tokens,
    list_cost

from telling_days

{{ planned_dates_only('event_date') }}
