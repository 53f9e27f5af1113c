{{ config(materialized='table') }}

with charges as (

    select * from {{ ref('fct_charges') }}

),

origins as (

    select * from {{ ref('fct_charge_origins') }}

),

invoice_lines as (

    select * from {{ ref('fct_invoice_lines') }}

),

-- What becomes payable and what is used up: usage, and the rest before it is allocated; and what invoices that are
-- booked in a period say.
movements as (

    select
        billing_period_start,
        obligation,
        pricing_currency as currency,
        pricing_currency_contracted_cost as payable,
        pricing_currency_effective_cost as used,
        cast(0 as decimal(38, 12)) as billed

    from charges

    where charge_kind = 'usage'

    union all

    select
        billing_period_start,
        obligation,
        pricing_currency as currency,
        pricing_currency_contracted_cost as payable,
        pricing_currency_effective_cost as used,
        case when billed_by is null then pricing_currency_contracted_cost else 0 end as billed

    from origins

    union all

    select
        booked_period_start as billing_period_start,
        obligation,
        pricing_currency as currency,
        cast(0 as decimal(38, 12)) as payable,
        cast(0 as decimal(38, 12)) as used,
        pricing_currency_billed_cost as billed

    from invoice_lines

    where charge_category <> 'Tax'

),

moved as (

    select
        billing_period_start,
        obligation,
        currency,
        cast(coalesce(sum(payable), 0) as decimal(38, 12)) as payable,
        cast(coalesce(sum(used), 0) as decimal(38, 12)) as used,
        cast(coalesce(sum(billed), 0) as decimal(38, 12)) as billed

    from movements

    group by all

),

bounds as (

    select
        min(billing_period_start) as first_start,
        max(billing_period_start) as last_start

    from moved

),

periods as (

    select cast(unnest(generate_series(first_start, last_start, interval 1 month)) as date) as billing_period_start

    from bounds

),

obligations as (

    select distinct
        obligation,
        currency

    from moved

),

-- What is payable and not used up is prepaid, what is payable and not billed is accrued.
summed as (

    select
        periods.billing_period_start,
        obligations.obligation,
        obligations.currency,
        coalesce(moved.payable, 0) as payable,
        coalesce(moved.used, 0) as used,
        coalesce(moved.billed, 0) as billed,
        sum(coalesce(moved.payable, 0) - coalesce(moved.used, 0)) over so_far as prepaid,
        sum(coalesce(moved.payable, 0) - coalesce(moved.billed, 0)) over so_far as accrued

    from periods

    cross join obligations

    left join moved
        on periods.billing_period_start = moved.billing_period_start
            and obligations.obligation = moved.obligation
            and obligations.currency = moved.currency

    window so_far as (
        partition by obligations.obligation, obligations.currency
        order by periods.billing_period_start
    )

),

balances as (

    select
        billing_period_start,
        obligation,
        currency,
        payable,
        used,
        billed,
        cast(greatest(prepaid, 0) + greatest(-accrued, 0) as decimal(38, 12)) as closing_prepayment,
        cast(greatest(accrued, 0) + greatest(-prepaid, 0) as decimal(38, 12)) as closing_accrual

    from summed

)

select
    billing_period_start,
    cast(billing_period_start + interval 1 month as date) as billing_period_end,
    obligation,
    currency as billing_currency,
    cast(payable as decimal(38, 12)) as contracted_cost,
    cast(used as decimal(38, 12)) as effective_cost,
    cast(billed as decimal(38, 12)) as billed_cost,
    lag(closing_prepayment, 1, 0) over by_obligation as opening_prepayment,
    closing_prepayment,
    lag(closing_accrual, 1, 0) over by_obligation as opening_accrual,
    closing_accrual

from balances

window by_obligation as (
    partition by obligation, currency
    order by billing_period_start
)
