{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_dates('usage_date') }}"
    )
}}

-- depends_on: {{ ref('stg_plan__dates') }}

with calls as (

    select * from {{ ref('int_calls_deduplicated') }}

),

files as (

    select * from {{ ref('stg_plan__files') }}

),

billing_periods as (

    select distinct billing_period_start from {{ ref('stg_plan__billing_days') }}

),

closed_periods as (

    select * from {{ ref('stg_plan__closed_periods') }}

),

-- Closes that froze what a period held, or corrections of it, each for the commits up to the next.
closes as (

    select
        billing_periods.billing_period_start,
        closed_periods.lake_commit as after_commit,
        row_number() over closes_in_order as closes_before,
        lead(closed_periods.lake_commit) over closes_in_order as until_commit

    from billing_periods

    inner join closed_periods
        on billing_periods.billing_period_start <= closed_periods.billing_period_start

    where closed_periods.lake_commit is not null

    window closes_in_order as (
        partition by billing_periods.billing_period_start
        order by closed_periods.lake_commit, closed_periods.close_number
    )

),

calls_committed as (

    select
        calls.*,
        coalesce(calls.row_commit_number, files.commit_number) as commit_number

    from calls

    left join files
        on calls.file_path = files.file_path

),

calls_after_closes as (

    select
        calls_committed.*,
        coalesce(closes.closes_before, 0) as closes_before

    from calls_committed

    left join closes
        on calls_committed.billing_period_start = closes.billing_period_start
            and calls_committed.commit_number > closes.after_commit
            and (closes.until_commit is null or calls_committed.commit_number <= closes.until_commit)

)

select
    usage_date,
    billing_date,
    billing_period_start,
    business_unit,
    cost_center,
    team,
    workflow,
    provider,
    model,
    service_tier,
    inference_path,
    billing_account_id,
    subscription_id,
    contract_id,
    sku_price_id,
    cost_basis,
    billing_currency,
    topic,
    kafka_partition,
    closes_before,
    coalesce(owner_rule, 'none') as owner_rule,
    coalesce(catalogue_version, 'unknown') as catalogue_version,
    rating_sequence,
    min(kafka_offset) as first_offset,
    max(kafka_offset) as last_offset,
    min(commit_number) as first_commit,
    max(commit_number) as last_commit,
    cast(sum(accelerator_seconds) as decimal(38, 12)) as accelerator_seconds,
    {{ summed_measures() }}

from calls_after_closes

group by all
