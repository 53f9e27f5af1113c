{{ config(materialized='table') }}

with product_days as (

    select * from {{ ref('int_product_days_summed') }}

),

product_revenue as (

    select * from {{ ref('int_product_revenue_read') }}

),

charges as (

    select * from {{ ref('fct_charges') }}

),

-- A product is told by customer in the billing periods in which revenue is.
products_by_customer as (

    select distinct
        billing_period_start,
        product

    from product_revenue

    where customer_id is not null

),

usage_placed as (

    select
        product_days.* exclude (customer_id),
        case when products_by_customer.product is null then 'product' else 'customer' end as margin_level,
        case when products_by_customer.product is null then 'all' else product_days.customer_id end as customer_id

    from product_days

    left join products_by_customer
        on product_days.billing_period_start = products_by_customer.billing_period_start
            and product_days.product = products_by_customer.product

),

usage_summed as (

    select
        billing_period_start,
        product,
        margin_level,
        customer_id,
        cast(sum(calls) as bigint) as calls,
        cast(sum(unpriced_calls) as bigint) as unpriced_calls,
        cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(total_tokens) as bigint) as total_tokens,
        cast(sum(list_cost) as decimal(38, 12)) as list_cost,
        cast(sum(effective_cost) as decimal(38, 12)) as ai_cost

    from usage_placed

    group by all

),

revenue_told as (

    select
        product_revenue.* exclude (customer_id),
        case when products_by_customer.product is null then 'product' else 'customer' end as margin_level,
        case
            when products_by_customer.product is null then 'all'
            else coalesce(product_revenue.customer_id, 'unknown')
        end as customer_id

    from product_revenue

    left join products_by_customer
        on product_revenue.billing_period_start = products_by_customer.billing_period_start
            and product_revenue.product = products_by_customer.product

),

-- Revenue of no customer and that of one who is called unknown are of the same row.
revenue_placed as (

    select
        billing_period_start,
        product,
        margin_level,
        customer_id,
        cast(case when count(revenue) = count(*) then sum(revenue) end as decimal(38, 12)) as revenue,
        case when min(revenue_currency) = max(revenue_currency) then min(revenue_currency) else 'several' end
            as revenue_currency,
        cast(
            case when min(revenue_currency) = max(revenue_currency) then sum(revenue_in_currency) end as decimal(38, 12)
        ) as revenue_in_currency

    from revenue_told

    group by all

),

-- What no call bears is known by team and workflow, not by product. Corrections of usage are no part of it: calls stand
-- in their own period by what is known now, also where it is closed.
period_charges as (

    select
        billing_period_start,
        'unallocated' as product,
        'period_charges' as margin_level,
        'all' as customer_id,
        cast(sum(effective_cost) as decimal(38, 12)) as ai_cost

    from charges

    where charge_kind <> 'usage'

    group by all

),

margins as (

    select
        coalesce(usage_summed.billing_period_start, revenue_placed.billing_period_start) as billing_period_start,
        coalesce(usage_summed.product, revenue_placed.product) as product,
        coalesce(usage_summed.margin_level, revenue_placed.margin_level) as margin_level,
        coalesce(usage_summed.customer_id, revenue_placed.customer_id) as customer_id,
        coalesce(usage_summed.calls, 0) as calls,
        coalesce(usage_summed.unpriced_calls, 0) as unpriced_calls,
        coalesce(usage_summed.unpriced_tokens, 0) as unpriced_tokens,
        coalesce(usage_summed.total_tokens, 0) as total_tokens,
        case
            when usage_summed.product is null then cast(0 as decimal(38, 12))
            else usage_summed.list_cost
        end as list_cost,
        case
            when usage_summed.product is null then cast(0 as decimal(38, 12))
            else usage_summed.ai_cost
        end as ai_cost,
        revenue_placed.revenue,
        revenue_placed.revenue_currency,
        revenue_placed.revenue_in_currency

    from usage_summed

    full outer join revenue_placed
        on usage_summed.billing_period_start = revenue_placed.billing_period_start
            and usage_summed.product = revenue_placed.product
            and usage_summed.margin_level = revenue_placed.margin_level
            and usage_summed.customer_id = revenue_placed.customer_id

    union all by name

    select
        period_charges.*,
        cast(0 as bigint) as calls,
        cast(0 as bigint) as unpriced_calls,
        cast(0 as bigint) as unpriced_tokens,
        cast(0 as bigint) as total_tokens

    from period_charges

),

margins_with_points as (

    select
        *,
        {{ per_hundred('ai_cost', 'revenue') }} as points_lost,
        case
            when margin_level = 'period_charges' then 'no_product_of_its_own'
            when ai_cost is null then 'no_known_cost'
            when revenue_currency is null and product = 'unknown' then 'no_product_told'
            when revenue_currency is null then 'no_revenue_told'
            when revenue is null then 'no_exchange_rate'
            when revenue = 0 then 'no_revenue'
        end as unknown_reason

    from margins

),

-- Told by customer or not, a product has points of its own; the same in each of its rows, so nothing is summed twice.
products_summed as (

    select
        billing_period_start,
        product,
        cast(sum(ai_cost) as decimal(38, 12)) as ai_cost,
        cast(case
            when count(revenue) = count(revenue_currency) then sum(revenue)
        end as decimal(38, 12)) as revenue

    from margins

    where margin_level <> 'period_charges'

    group by all

),

products_with_points as (

    select
        *,
        {{ per_hundred('ai_cost', 'revenue') }} as points_lost

    from products_summed

),

products_with_the_period_before as (

    select
        *,
        lag(points_lost) over product_periods as points_lost_then,
        lag(billing_period_start) over product_periods as billing_period_then

    from products_with_points

    window product_periods as (
        partition by product
        order by billing_period_start
    )

),

margins_with_the_period_before as (

    select
        *,
        lag(points_lost) over customer_periods as points_lost_then,
        lag(billing_period_start) over customer_periods as billing_period_then

    from margins_with_points

    window customer_periods as (
        partition by product, margin_level, customer_id
        order by billing_period_start
    )

)

select
    margins.billing_period_start,
    cast(margins.billing_period_start + interval 1 month as date) as billing_period_end,
    margins.product,
    margins.margin_level,
    margins.customer_id,
    'USD' as billing_currency,
    margins.calls,
    margins.unpriced_calls,
    margins.unpriced_tokens,
    margins.total_tokens,
    margins.list_cost,
    margins.ai_cost,
    margins.revenue,
    margins.revenue_currency,
    margins.revenue_in_currency,
    margins.points_lost,
    cast(case
        when margins.billing_period_then + interval 1 month = margins.billing_period_start
            then margins.points_lost - margins.points_lost_then
    end as decimal(38, 6)) as points_lost_change,
    margins.unknown_reason,
    products.points_lost as product_points_lost,
    cast(case
        when products.billing_period_then + interval 1 month = products.billing_period_start
            then products.points_lost - products.points_lost_then
    end as decimal(38, 6)) as product_points_lost_change

from margins_with_the_period_before as margins

left join products_with_the_period_before as products
    on margins.billing_period_start = products.billing_period_start
        and margins.product = products.product
        and margins.margin_level <> 'period_charges'
