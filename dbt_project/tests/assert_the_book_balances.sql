-- Every hand-over gives out what it took in. A row here is a loss or an invention, and says where.
select
    hand_over,
    scope,
    measure,
    amount_in,
    amount_out,
    difference

from {{ ref('fct_ledger_balance') }}

where difference <> 0
