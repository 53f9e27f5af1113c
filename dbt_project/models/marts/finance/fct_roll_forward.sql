{{ config(materialized='table') }}

with charges as (

    select * from {{ ref('fct_charges') }}

),

origins as (

    select * from {{ ref('int_charge_origins_computed') }}

),

usage_lines as (

    select * from {{ ref('int_usage_charges_summed') }}

),

invoice_lines as (

    select * from {{ ref('int_invoice_lines_read') }}

),

-- What becomes payable and what is used up, before anything is allocated; and what invoices booked in a period say.
movements as (

    select
        billing_period_start,
        'usage ' || provider as obligation,
        billing_currency as currency,
        contracted_cost as payable,
        effective_cost as used,
        cast(0 as decimal(38, 12)) as billed

    from usage_lines

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

-- Of an obligation: what is payable and not used up is prepaid, what is payable and not billed is accrued.
balances as (

    select
        periods.billing_period_start,
        obligations.obligation,
        obligations.currency,
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

closing as (

    select
        billing_period_start,
        currency,
        cast(sum(billed) as decimal(38, 12)) as billed_cost,
        cast(sum(greatest(prepaid, 0) + greatest(-accrued, 0)) as decimal(38, 12)) as closing_prepayments,
        cast(sum(greatest(accrued, 0) + greatest(-prepaid, 0)) as decimal(38, 12)) as closing_accruals

    from balances

    group by all

),

rolled as (

    select
        *,
        lag(closing_prepayments, 1, 0) over by_currency as opening_prepayments,
        lag(closing_accruals, 1, 0) over by_currency as opening_accruals

    from closing

    window by_currency as (
        partition by currency
        order by billing_period_start
    )

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
    rolled.currency as billing_currency,
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
        and rolled.currency = posted.currency
