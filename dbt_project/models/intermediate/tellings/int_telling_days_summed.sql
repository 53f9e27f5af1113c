{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_dates('event_date') }}"
    )
}}

-- depends_on: {{ ref('stg_plan__dates') }}

with tellings as (

    select * from {{ ref('int_tellings_rated') }}

),

tellings_resolved as (

    select * from {{ ref('int_tellings_resolved') }}

),

tellings_with_state as (

    select
        tellings.event_date,
        coalesce(tellings_resolved.telling_state, 'standing') as telling_state,
        coalesce(tellings.catalogue_version, 'unknown') as catalogue_version,
        tellings.rating_sequence,
        tellings.input_tokens,
        tellings.output_tokens,
        tellings.list_cost,
        tellings.contracted_cost,
        tellings.metered_list_cost,
        tellings.metered_contracted_cost

    from tellings

    left join tellings_resolved
        on tellings.file_row_number = tellings_resolved.file_row_number
            and tellings.file_path = tellings_resolved.file_path

)

select
    event_date,
    telling_state,
    catalogue_version,
    rating_sequence,
    count(*) as tellings,
    cast(sum(input_tokens) as bigint) as input_tokens,
    cast(sum(output_tokens) as bigint) as output_tokens,
    cast(sum(list_cost) as decimal(38, 12)) as list_cost,
    cast(sum(contracted_cost) as decimal(38, 12)) as contracted_cost,
    cast(sum(metered_list_cost) as decimal(38, 12)) as metered_list_cost,
    cast(sum(metered_contracted_cost) as decimal(38, 12)) as metered_contracted_cost

from tellings_with_state

group by all
