-- Per period and currency, net of tax: effective = billed + opening - closing prepayments + closing - opening accruals.
select
    billing_period_start,
    billing_currency,
    difference

from {{ ref('fct_roll_forward') }}

where difference <> 0
