{{ config(materialized='table') }}

with invoice_lines as (

    select * from {{ ref('int_invoice_lines_read') }}

)

select
    vendor,
    invoice_id,
    line_id,
    credit_note_for,
    issued_on,
    booked_period_start,
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

from invoice_lines
