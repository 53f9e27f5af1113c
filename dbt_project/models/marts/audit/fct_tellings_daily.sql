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
    cast(sum(tellings) as bigint) as tellings,
    cast(sum(input_tokens) as bigint) as input_tokens,
    cast(sum(output_tokens) as bigint) as output_tokens,
    cast(sum(list_cost) as decimal(38, 12)) as list_cost,
    cast(sum(contracted_cost) as decimal(38, 12)) as contracted_cost

from telling_days

{{ planned_dates_only('event_date') }}

group by all
