-- Per period and currency, net of tax: effective = billed + opening - closing prepayments + closing - opening accruals.
select *

from {{ ref('fct_roll_forward') }}

where difference <> 0
