-- The units of a date are its tokens: none counts twice. Tokens that a total alone tells are in no bucket, so the units
-- may be fewer, and never more.
with unit_days as (

    select * from {{ ref('int_unit_days_summed') }}

),

usage_days as (

    select * from {{ ref('int_usage_days_summed') }}

),

planned_dates as (

    select * from {{ ref('stg_plan__dates') }}

),

unit_tokens as (

    select
        unit_days.usage_date,
        sum(unit_days.consumed_quantity) as consumed_tokens

    from unit_days

    semi join planned_dates
        on unit_days.usage_date = planned_dates.event_date

    where {{ is_token_unit('unit_days.unit') }}

    group by unit_days.usage_date

),

told_tokens as (

    select
        usage_days.usage_date,
        sum(usage_days.total_tokens) as total_tokens

    from usage_days

    semi join planned_dates
        on usage_days.usage_date = planned_dates.event_date

    group by usage_days.usage_date

)

select
    unit_tokens.usage_date,
    unit_tokens.consumed_tokens,
    told_tokens.total_tokens

from unit_tokens

left join told_tokens
    on unit_tokens.usage_date = told_tokens.usage_date

where unit_tokens.consumed_tokens > coalesce(told_tokens.total_tokens, 0)
