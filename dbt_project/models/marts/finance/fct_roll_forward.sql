{{ config(materialized='table') }}

with charges as (

    select * from {{ ref('fct_charges') }}

),

accruals as (

    select * from {{ ref('fct_accruals') }}

),

rolled as (

    select
        billing_period_start,
        billing_currency,
        cast(sum(billed_cost) as decimal(38, 12)) as billed_cost,
        cast(sum(opening_prepayment) as decimal(38, 12)) as opening_prepayments,
        cast(sum(closing_prepayment) as decimal(38, 12)) as closing_prepayments,
        cast(sum(opening_accrual) as decimal(38, 12)) as opening_accruals,
        cast(sum(closing_accrual) as decimal(38, 12)) as closing_accruals

    from accruals

    group by all

),

posted as (

    select
        billing_period_start,
        pricing_currency as currency,
        cast(coalesce(sum(pricing_currency_effective_cost), 0) as decimal(38, 12)) as effective_cost,
        count(*) filter (where pricing_currency_effective_cost is null and charge_kind <> 'usage')
        + coalesce(sum(unpriced_calls), 0) as unknown_charges

    from charges

    group by all

)

select
    rolled.billing_period_start,
    cast(rolled.billing_period_start + interval 1 month as date) as billing_period_end,
    rolled.billing_currency,
    rolled.billed_cost,
    rolled.opening_prepayments,
    rolled.closing_prepayments,
    rolled.opening_accruals,
    rolled.closing_accruals,
    cast(coalesce(posted.effective_cost, 0) as decimal(38, 12)) as effective_cost,
    cast(
        coalesce(posted.effective_cost, 0) - (
            rolled.billed_cost
            + rolled.opening_prepayments - rolled.closing_prepayments
            + rolled.closing_accruals - rolled.opening_accruals
        ) as decimal(38, 12)
    ) as difference,
    cast(coalesce(posted.unknown_charges, 0) as bigint) as unknown_charges

from rolled

left join posted
    on rolled.billing_period_start = posted.billing_period_start
        and rolled.billing_currency = posted.currency
