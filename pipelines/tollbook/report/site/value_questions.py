"""Questions about what usage is held against, fees and revenue. They are put after `questions.PREPARATION`."""

from __future__ import annotations

from typing import Final

from tollbook.insight.customer_concentration import ALL_PRODUCTS
from tollbook.report.site.questions import CURVE_POINTS, MOST_CUSTOMERS, MOST_PERSONS, OTHER_CUSTOMERS

SUBSCRIPTIONS: Final = "select distinct subscription_id from insight.fct_subsidies order by all"

PRODUCTS: Final = f"""
select product from insight.fct_margins
union
select product from insight.fct_customer_concentration where product <> '{ALL_PRODUCTS}'
order by all
"""

PLANS: Final = """
select
    subsidies.billing_period_start as period,
    subsidies.subscription_id as subscription,
    subsidies.billing_currency as currency,
    coalesce(max(subsidies.vendor), 'unknown') as vendor,
    coalesce(max(subsidies.plan), 'unknown') as plan,
    coalesce(max(subsidies.persons), 0) as persons,
    cast(cast(max(subsidies.seats) as decimal(18, 2)) as varchar) as seats,
    cast(cast(max(subsidies.unused_seats) as decimal(18, 2)) as varchar) as unused_seats,
    cast(coalesce(sum(subsidies.unpriced_calls), 0) as bigint) as unpriced_calls,
    cast(max(subsidies.plan_list_cost) as decimal(38, 12)) as cost,
    cast(max(subsidies.plan_fee_cost) as decimal(38, 12)) as fee,
    cast(sum(subsidies.own_terms_cost) as decimal(38, 12)) as own_terms,
    cast(sum(subsidies.cheapest_cost) as decimal(38, 12)) as cheapest,
    cast(cast(max(subsidies.gini) as decimal(18, 4)) as varchar) as gini,
    cast(cast(100 * max(subsidies.top_1_percent_share) as decimal(18, 1)) as varchar) as top_1_percent,
    cast(cast(100 * max(subsidies.top_10_percent_share) as decimal(18, 1)) as varchar) as top_10_percent
from insight.fct_subsidies as subsidies
inner join periods on subsidies.billing_period_start = periods.billing_period_start
group by all
order by all
"""
"""One row for each period and subscription; the plan's own amounts are the same in each of its rows."""

PERSONS: Final = f"""
select
    subsidies.billing_period_start as period,
    subsidies.subscription_id as subscription,
    subsidies.billing_currency as currency,
    subsidies.person,
    coalesce(subsidies.calls, 0) as calls,
    subsidies.list_cost as cost,
    subsidies.fee_cost as fee,
    coalesce(subsidies.cheapest_plan, 'not known') as cheapest_plan
from insight.fct_subsidies as subsidies
inner join periods on subsidies.billing_period_start = periods.billing_period_start
where subsidies.usage_rank <= {MOST_PERSONS}
order by cost desc, person
"""

CURVES: Final = f"""
select
    subsidies.billing_period_start as period,
    subsidies.subscription_id as subscription,
    subsidies.billing_currency as currency,
    cast(cast(100 * subsidies.lorenz_persons as decimal(18, 2)) as varchar) as persons,
    cast(cast(100 * subsidies.lorenz_usage as decimal(18, 2)) as varchar) as usage
from insight.fct_subsidies as subsidies
inner join periods on subsidies.billing_period_start = periods.billing_period_start
where subsidies.lorenz_persons is not null
qualify
    row_number() over (
        partition by
            subsidies.billing_period_start,
            subsidies.subscription_id,
            cast(ceil({CURVE_POINTS} * subsidies.lorenz_persons) as bigint)
        order by subsidies.lorenz_persons desc
    ) = 1
order by period, subscription, subsidies.lorenz_persons
"""

MARGINS: Final = f"""
with ranked as (

    select
        product,
        customer_id,
        row_number() over (
            partition by product
            order by sum(coalesce(revenue, 0) + coalesce(ai_cost, 0)) desc, customer_id
        ) as customer_rank
    from insight.fct_margins
    group by product, customer_id

)

select
    margins.billing_period_start as period,
    margins.product,
    margins.margin_level as level,
    if(
        ranked.customer_rank <= {MOST_CUSTOMERS} or margins.customer_id in ('all', 'unknown'),
        margins.customer_id,
        '{OTHER_CUSTOMERS}'
    ) as customer,
    margins.billing_currency as currency,
    cast(coalesce(sum(margins.calls), 0) as bigint) as calls,
    cast(coalesce(sum(margins.unpriced_calls), 0) as bigint) as unpriced_calls,
    cast(sum(margins.ai_cost) as decimal(38, 12)) as cost,
    cast(sum(margins.revenue) as decimal(38, 12)) as revenue,
    string_agg(distinct margins.unknown_reason, ',' order by margins.unknown_reason) as reasons
from insight.fct_margins as margins
inner join periods on margins.billing_period_start = periods.billing_period_start
inner join ranked on margins.product = ranked.product and margins.customer_id = ranked.customer_id
group by all
order by all
"""

CONCENTRATION: Final = f"""
select
    spread.billing_period_start as period,
    nullif(spread.product, '{ALL_PRODUCTS}') as product,
    spread.measure,
    spread.customers,
    spread.quantity,
    spread.unknown_quantity,
    spread.gini,
    spread.largest_share,
    spread.top_1_percent_share,
    spread.top_10_percent_share,
    spread.customers_with_half,
    spread.customers_with_90_percent,
    list_transform(spread.lorenz_shares, lambda share: cast(cast(100 * share as decimal(18, 3)) as varchar)) as curve
from insight.fct_customer_concentration as spread
inner join periods on spread.billing_period_start = periods.billing_period_start
order by all
"""
"""How usage is spread over customers; without a product of all together. `curve` in percent, at each hundredth."""
