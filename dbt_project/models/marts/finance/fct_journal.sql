{{ config(materialized='table') }}

with journal as (

    select * from {{ ref('int_journal_computed') }}

)

select
    journal_id,
    journal_line_id,
    billing_period,
    billing_period_start,
    posting_date,
    side,
    posting,
    account,
    unposted_reason,
    legal_entity,
    business_unit,
    cost_center,
    team,
    provider,
    obligation,
    currency,
    debit,
    credit,
    statement_lines,
    text

from journal
