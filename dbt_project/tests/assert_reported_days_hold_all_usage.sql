-- What events tell of a day that a vendor reports is in its comparison whole, whatever the vendor tells.
with reconciliation as (

    select * from {{ ref('fct_reconciliation') }}

),

usage_hours as (

    select * from {{ ref('int_usage_hours_summed') }}

),

usage_days as (

    select * from {{ ref('int_usage_days_summed') }}

),

hours_by_day as (

    select
        usage_date,
        provider,
        sum(calls) as calls,
        sum(total_tokens) as total_tokens,
        sum(contracted_cost) as contracted_cost

    from usage_hours

    group by all

),

days as (

    select
        usage_date,
        provider,
        sum(calls) as calls,
        sum(total_tokens) as total_tokens,
        sum(contracted_cost) as contracted_cost

    from usage_days

    group by all

),

reported as (

    select
        usage_date,
        vendor,
        sum(our_calls) as calls,
        coalesce(sum(our_tokens), 0) as total_tokens

    from reconciliation

    where comparison = 'vendor_report'

    group by all

)

select
    hours_by_day.usage_date,
    hours_by_day.provider

from hours_by_day

full outer join days
    on hours_by_day.usage_date = days.usage_date
        and hours_by_day.provider = days.provider

left join reported
    on hours_by_day.usage_date = reported.usage_date
        and hours_by_day.provider = reported.vendor

where hours_by_day.calls is distinct from days.calls
    or hours_by_day.total_tokens is distinct from days.total_tokens
    or hours_by_day.contracted_cost is distinct from days.contracted_cost
    or (reported.vendor is not null and hours_by_day.calls > reported.calls)
    or (reported.vendor is not null and coalesce(hours_by_day.total_tokens, 0) > reported.total_tokens)
