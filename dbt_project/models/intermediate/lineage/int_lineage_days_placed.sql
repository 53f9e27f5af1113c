{{ config(materialized='view', database='scratch') }}

with lineage_days as (

    select * from {{ ref('int_lineage_days_summed') }}

),

places as (

    select * from {{ ref('stg_plan__places') }}

),

{{ placed('lineage_days', 'lineage_days_placed', 'lineage_days_in_units') }}

-- Days that were told under two cost centres may stand in one line.
select
    {{ usage_charge_id() }} as charge_id,
    billing_period_start,
    billing_currency as pricing_currency,
    usage_date as event_date,
    topic,
    kafka_partition,
    closes_before,
    owner_rule,
    catalogue_version,
    rating_sequence,
    cast(min(first_offset) as bigint) as first_offset,
    cast(max(last_offset) as bigint) as last_offset,
    cast(min(first_commit) as bigint) as first_commit,
    cast(max(last_commit) as bigint) as last_commit,
    cast(sum(accelerator_seconds) as decimal(38, 12)) as accelerator_seconds,
    {{ summed_measures() }}

from lineage_days_in_units

group by all
