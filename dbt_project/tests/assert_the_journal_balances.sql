-- Debits are credits in every billing period, currency and legal entity.
select
    billing_period_start,
    currency,
    legal_entity,
    sum(debit) - sum(credit) as difference

from {{ ref('fct_journal') }}

group by all

having sum(debit) <> sum(credit)
