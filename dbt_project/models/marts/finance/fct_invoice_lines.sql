{{ config(materialized='table') }}

with invoice_lines as (

    select
        *,
        cast(null as date) as corrects_period_start,
        cast(null as varchar) as corrects_line_id

    from {{ ref('int_invoice_lines_read') }}

),

closed as (

    select * from invoice_lines
    where false

    union all by name

    select * from {{ ref('stg_lake__closed_invoice_lines') }}

),

{{
    settled(
        restated='invoice_lines',
        closed='closed',
        key=['line_id', 'vendor', 'invoice_id'],
        measures=['invoice_amount', 'billed_cost', 'pricing_currency_billed_cost'],
        correction={
            'line_id': "said.line_id || ' booked in ' || strftime(open_periods.open_period_start, '%Y-%m')",
        },
        period='booked_period_start'
    )
}}

select
    vendor,
    invoice_id,
    line_id,
    credit_note_for,
    issued_on,
    booked_period_start,
    corrects_period_start,
    corrects_line_id,
    billing_period_start,
    charge_category,
    charge_description,
    obligation,
    model,
    project_id,
    service_from,
    service_to,
    invoice_currency,
    invoice_amount,
    exchange_rate,
    billed_cost,
    billing_currency,
    pricing_currency,
    pricing_currency_billed_cost,
    reference_entry

from settled
