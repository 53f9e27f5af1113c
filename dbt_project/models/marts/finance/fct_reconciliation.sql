{{ config(materialized='table') }}

with reconciliation as (

    select * from {{ ref('int_reconciliation_computed') }}

)

select
    reconciliation_id,
    comparison,
    vendor,
    billing_period_start,
    usage_date,
    model,
    project_id,
    residual_kind,
    our_calls,
    vendor_calls,
    residual_calls,
    our_tokens,
    vendor_tokens,
    residual_tokens,
    our_cost,
    vendor_cost,
    invoice_cost,
    residual_cost,
    billing_currency,
    is_booked

from reconciliation
