{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_dates('event_date') }}"
    )
}}

-- depends_on: {{ ref('stg_plan__dates') }}

with tellings as (

    select * from {{ ref('stg_lake__usage') }}

),

tellings_resolved as (

    select * from {{ ref('int_tellings_resolved') }}

),

tellings_with_state as (

    select
        tellings.event_date,
        coalesce(tellings_resolved.telling_state, 'standing') as telling_state,
        tellings.input_tokens,
        tellings.output_tokens,
        tellings.list_cost

    from tellings

    left join tellings_resolved
        on tellings.file_row_number = tellings_resolved.file_row_number
            and tellings.file_path = tellings_resolved.file_path

)

select
    event_date,
    telling_state,
    count(*) as tellings,
    cast(sum(input_tokens) as bigint) as input_tokens,
    cast(sum(output_tokens) as bigint) as output_tokens,
    cast(sum(list_cost) as decimal(38, 12)) as list_cost

from tellings_with_state

group by all
