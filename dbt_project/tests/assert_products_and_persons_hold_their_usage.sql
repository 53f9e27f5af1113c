-- Days by product and customer and days by path sum to all calls of the day, days by person to those under a plan.
with planned_dates as (

    select * from {{ ref('stg_plan__dates') }}

),

calls as (

    select
        usage_date,
        billing_period_start,
        sum(calls) as calls,
        sum(total_tokens) as total_tokens,
        sum(list_cost) as list_cost,
        sum(effective_cost) as effective_cost,
        coalesce(sum(calls) filter (where subscription_id is not null), 0) as calls_under_plans,
        sum(total_tokens) filter (where subscription_id is not null) as tokens_under_plans,
        sum(list_cost) filter (where subscription_id is not null) as list_cost_under_plans

    from {{ ref('int_usage_days_summed') }}

    where usage_date in (select planned_dates.event_date from planned_dates)

    group by all

),

products as (

    select
        usage_date,
        billing_period_start,
        sum(calls) as calls,
        sum(total_tokens) as total_tokens,
        sum(list_cost) as list_cost,
        sum(effective_cost) as effective_cost

    from {{ ref('int_product_days_summed') }}

    where usage_date in (select planned_dates.event_date from planned_dates)

    group by all

),

paths as (

    select
        usage_date,
        billing_period_start,
        sum(calls) as calls,
        sum(total_tokens) as total_tokens,
        sum(effective_cost) as effective_cost

    from {{ ref('int_path_days_summed') }}

    where usage_date in (select planned_dates.event_date from planned_dates)

    group by all

),

persons as (

    select
        usage_date,
        billing_period_start,
        sum(calls) as calls,
        sum(total_tokens) as total_tokens,
        sum(list_cost) as list_cost

    from {{ ref('int_person_days_summed') }}

    where usage_date in (select planned_dates.event_date from planned_dates)

    group by all

)

select
    coalesce(calls.usage_date, products.usage_date, paths.usage_date, persons.usage_date) as usage_date,
    calls.calls,
    products.calls as calls_of_products,
    paths.calls as calls_of_paths,
    calls.calls_under_plans,
    persons.calls as calls_of_persons

from calls

full outer join products
    on calls.usage_date = products.usage_date
        and calls.billing_period_start = products.billing_period_start

full outer join paths
    on calls.usage_date = paths.usage_date
        and calls.billing_period_start = paths.billing_period_start

full outer join persons
    on calls.usage_date = persons.usage_date
        and calls.billing_period_start = persons.billing_period_start

where calls.calls is distinct from products.calls
    or calls.total_tokens is distinct from products.total_tokens
    or calls.list_cost is distinct from products.list_cost
    or calls.effective_cost is distinct from products.effective_cost
    or calls.calls is distinct from paths.calls
    or calls.total_tokens is distinct from paths.total_tokens
    or calls.effective_cost is distinct from paths.effective_cost
    or calls.calls_under_plans is distinct from coalesce(persons.calls, 0)
    or calls.tokens_under_plans is distinct from persons.total_tokens
    or calls.list_cost_under_plans is distinct from persons.list_cost
