-- Of a final invoice: what is payable for the usage of its period, residuals booked, is what was invoiced net of tax.
with reconciliation as (

    select * from {{ ref('int_reconciliation_computed') }}

),

usage_lines as (

    select * from {{ ref('int_usage_charges_summed') }}

),

origins as (

    select * from {{ ref('int_charge_origins_computed') }}

),

payable as (

    select
        'usage ' || provider as obligation,
        billing_period_start,
        contracted_cost
    from usage_lines

    union all

    select
        obligation,
        billing_period_start,
        contracted_cost
    from origins

),

payable_summed as (

    select
        obligation,
        billing_period_start,
        sum(contracted_cost) as payable
    from payable
    group by all

),

invoiced as (

    select
        'usage ' || vendor as obligation,
        billing_period_start,
        sum(invoice_cost) as invoiced
    from reconciliation
    where comparison = 'invoice'
    group by all
    having bool_or(is_booked)

)

select
    invoiced.obligation,
    invoiced.billing_period_start,
    invoiced.invoiced,
    payable_summed.payable

from invoiced

left join payable_summed
    on invoiced.obligation = payable_summed.obligation
        and invoiced.billing_period_start = payable_summed.billing_period_start

where invoiced.invoiced is distinct from payable_summed.payable
