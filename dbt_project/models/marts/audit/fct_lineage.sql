{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_lineage_to_remake() }}"
    )
}}

-- depends_on: {{ ref('stg_plan__billing_days') }}

with charges as (

    select * from {{ ref('fct_charges') }}

),

closed_periods as (

    select * from {{ ref('stg_plan__closed_periods') }}

),

restated as (

    select
        *,
        cast(null as date) as corrects_period_start,
        cast(null as varchar) as corrects_charge_id

    from {{ ref('int_lineage_days_placed') }}

    {{ lineage_to_remake_only() }}

),

closed_lineage as (

    select
        *,
        cast(null as varchar) as lineage_kind,
        cast(null as varchar) as follows_from

    from restated

    where false

    union all by name

    select * from {{ ref('stg_lake__closed_lineage') }}

),

closed_calls as (

    select * exclude (lineage_kind, follows_from)

    from closed_lineage

    where lineage_kind = 'calls'

),

closed as (

    select * from closed_calls

    {{ lineage_to_remake_only('coalesce(corrects_period_start, billing_period_start)') }}

),

{{
    settled(
        restated='restated',
        closed='closed',
        key=[
            'charge_id',
            'pricing_currency',
            'event_date',
            'topic',
            'kafka_partition',
            'closes_before',
            'owner_rule',
            'catalogue_version',
            'rating_sequence',
        ],
        measures=charge_quantities() + ['list_cost', 'contracted_cost', 'effective_cost'],
        correction={'charge_id': correction_id('said.charge_id')}
    )
}},

-- A call that was told again otherwise may leave what its line sums to as it is: there is no correction then.
calls as (

    select settled.*

    from settled

    semi join charges
        on settled.charge_id = charges.charge_id
            and settled.pricing_currency = charges.pricing_currency

),

{% set of_charges = [
    ('corrected_charge', 'corrects_charge_id'),
    ('origin_charge', 'origin_charge_id'),
    ('source', "case when charge_kind <> 'usage' then source_kind || ' ' || source_id end"),
    ('reference_entry', 'reference_entry'),
    ('allocation', 'allocated_method_id'),
    ('price', 'sku_price_id'),
    ('contract', 'contract_id'),
    ('obligation', 'obligation'),
] %}

links as (

    {%- for kind, follows_from in of_charges %}
    select
        charge_id,
        pricing_currency,
        '{{ kind }}' as lineage_kind,
        {{ follows_from }} as follows_from

    from charges

    union all
    {% endfor %}
    select
        charge_id,
        pricing_currency,
        'platform' as lineage_kind,
        unnest(from_json(allocated_method_details -> '$.through', '["VARCHAR"]')) as follows_from

    from charges

    union all

    select
        charges.charge_id,
        charges.pricing_currency,
        'close' as lineage_kind,
        cast(closed_periods.close_number as varchar) as follows_from

    from charges

    inner join closed_periods
        on coalesce(charges.corrects_period_start, charges.billing_period_start) = closed_periods.billing_period_start

),

links_of_lines as (

    select distinct
        links.*,
        charges.billing_period_start,
        charges.corrects_charge_id,
        charges.corrects_period_start

    from links

    inner join charges
        on links.charge_id = charges.charge_id
            and links.pricing_currency = charges.pricing_currency

    where links.follows_from is not null

),

lineage as (

    select
        *,
        'calls' as lineage_kind,
        topic || '/' || kafka_partition || '/' || first_offset || '-' || last_offset as follows_from

    from calls

    union all by name

    select * from links_of_lines

)

select
    charge_id,
    lineage_kind,
    cast(
        row_number() over (
            partition by charge_id, pricing_currency, lineage_kind
            order by
                event_date,
                topic,
                kafka_partition,
                closes_before,
                owner_rule,
                catalogue_version,
                rating_sequence,
                follows_from
        ) as bigint
    ) as lineage_number,
    billing_period_start,
    follows_from,
    corrects_charge_id,
    corrects_period_start,
    event_date,
    topic,
    kafka_partition,
    first_offset,
    last_offset,
    first_commit,
    last_commit,
    closes_before,
    owner_rule,
    catalogue_version,
    rating_sequence,
    calls,
    unpriced_calls,
    unpriced_tokens,
    input_tokens,
    uncached_input_tokens,
    cache_read_tokens,
    cache_write_tokens,
    output_tokens,
    reasoning_tokens,
    total_tokens,
    accelerator_seconds,
    list_cost,
    contracted_cost,
    effective_cost,
    pricing_currency

from lineage
