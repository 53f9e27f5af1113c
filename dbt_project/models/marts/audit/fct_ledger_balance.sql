{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_planned_scopes() }}"
    )
}}

{#- Each hand-over: its scopes, what goes in, what comes out, and of that what is listed and goes no further. -#}
{%- set calls = {
    'records': 'calls', 'input_tokens': 'input_tokens', 'output_tokens': 'output_tokens', 'list_cost': 'list_cost',
    'contracted_cost': 'contracted_cost',
} %}
{%- set told = {
    'records': 'told_rows', 'input_tokens': 'told_input_tokens', 'output_tokens': 'told_output_tokens',
    'list_cost': 'told_list_cost', 'contracted_cost': 'told_contracted_cost',
} %}
{%- set held = {
    'records': 'held_rows', 'input_tokens': 'held_input_tokens', 'output_tokens': 'held_output_tokens',
    'list_cost': 'held_list_cost', 'contracted_cost': 'held_contracted_cost',
} %}
{%- set live = {
    'records': 'live_calls', 'input_tokens': 'live_input_tokens', 'output_tokens': 'live_output_tokens',
    'list_cost': 'live_list_cost',
} %}
{%- set tellings = {
    'records': 'tellings', 'input_tokens': 'input_tokens', 'output_tokens': 'output_tokens', 'list_cost': 'list_cost',
    'contracted_cost': 'contracted_cost',
} %}
{#- As the tellings were metered, before any rerate. -#}
{%- set metered = {
    'records': 'tellings', 'input_tokens': 'input_tokens', 'output_tokens': 'output_tokens',
    'list_cost': 'metered_list_cost', 'contracted_cost': 'metered_contracted_cost',
} %}
{%- set usage_rows = {
    'records': 'usage_rows', 'input_tokens': 'input_tokens', 'output_tokens': 'output_tokens', 'list_cost': 'list_cost',
    'contracted_cost': 'contracted_cost',
} %}
{#- What is charged: usage by what calls cost, the rest by what is posted. -#}
{%- set charged = {
    'records': '1', 'contracted_cost': 'contracted_cost', 'effective_cost': 'effective_cost',
} %}
{%- set settled = {
    'records': 'calls', 'input_tokens': 'input_tokens', 'output_tokens': 'output_tokens', 'list_cost': 'list_cost',
    'contracted_cost': 'contracted_cost', 'effective_cost': 'effective_cost', 'billed_cost': 'billed_cost',
} %}
{%- set posted = {'effective_cost': 'effective_cost', 'billed_cost': 'billed_cost'} %}
{%- set no_record = 'tombstones + control_offsets + aborted_offsets + missing_offsets + lost_offsets' %}
{%- set accepted = "telling_state in ('standing', 'superseded', 'voided')" %}
{%- set quarantined = "telling_state in ('duplicate', 'conflict')" %}
{%- set not_standing = "telling_state in ('superseded', 'voided')" %}
{#- The live sums balance over the whole ledger: a telling takes back what counted before it, on whatever date. -#}
{%- set by_partition, by_date, by_period, whole, by_posting =
    ['kafka_partition'], ['event_date', 'ledger'], ['billing_period', 'ledger'], ['ledger'], ['posted_period', 'ledger']
%}
{%- set hand_overs = [
    ('kafka_to_records', by_partition, [
        ('in', 'partitions', {'records': 'next_offset - first_offset'}),
        ('out', 'partitions', {'records': 'records'}),
        ('listed', 'partitions', {'records': no_record}),
    ]),
    ('records_to_usage', by_partition, [
        ('in', 'partitions', {'records': 'records + further_items'}),
        ('out', 'partitions', {'records': 'usage_rows'}),
        ('listed', 'partitions', {'records': 'reject_rows + silent_records'}),
    ]),
    ('usage_to_commits', by_partition, [
        ('in', 'partitions', usage_rows),
        ('out', 'usage_files', told),
    ]),
    ('rejects_to_files', by_partition, [
        ('in', 'partitions', {'records': 'reject_rows'}),
        ('out', 'reject_files', {'records': 'held_rows'}),
    ]),
    ('commits_to_files', by_date, [
        ('in', 'usage_files', told),
        ('out', 'usage_files', held),
    ]),
    ('usage_to_minutes', whole, [
        ('in', 'usage_files', live),
        ('out', 'minute_files', live),
    ]),
    ('files_to_tellings', by_date, [
        ('in', 'usage_files', held),
        ('out', 'telling_days', metered, accepted),
        ('listed', 'telling_days', metered, quarantined),
    ]),
    ('ratings', by_date, [
        ('in', 'telling_days', {'list_cost': 'metered_list_cost', 'contracted_cost': 'metered_contracted_cost'}),
        ('in', 'rating_files', {
            'list_cost': 'told_list_cost_difference', 'contracted_cost': 'told_contracted_cost_difference',
        }),
        ('out', 'telling_days', {'list_cost': 'list_cost', 'contracted_cost': 'contracted_cost'}),
    ]),
    ('tellings_to_calls', by_date, [
        ('in', 'telling_days', tellings, accepted),
        ('out', 'usage_days', calls),
        ('listed', 'telling_days', tellings, not_standing),
    ]),
    ('calls_to_task_days', by_date, [
        ('in', 'usage_days', calls),
        ('out', 'task_days', calls),
    ]),
    ('task_days_to_tasks', whole, [
        ('in', 'task_days', calls),
        ('out', 'tasks', calls),
        ('listed', 'task_days', calls, 'task_id is null'),
    ]),
    ('calls_to_usage_daily', by_date, [
        ('in', 'usage_days', calls),
        ('out', 'usage_daily', calls),
    ]),
    ('calls_to_cost_basis_daily', by_date, [
        ('in', 'usage_days', calls),
        ('out', 'cost_basis_daily', calls),
    ]),
    ('calls_to_account_days', by_date, [
        ('in', 'usage_days', {'records': 'calls', 'list_cost': 'list_cost', 'contracted_cost': 'contracted_cost'}),
        ('out', 'account_days', {'records': 'calls', 'list_cost': 'list_cost', 'contracted_cost': 'contracted_cost'}),
    ]),
    ('charge_log_to_charges', whole, [
        ('in', 'charge_scopes', {'records': 'charges', 'contracted_cost': 'contracted_cost'}),
        ('out', 'period_charges', {'records': '1', 'contracted_cost': 'contracted_cost'}),
    ]),
    ('calls_to_charges', by_period, [
        ('in', 'usage_days', calls),
        ('out', 'restated_charges', calls, "charge_kind = 'usage'"),
    ]),
    ('period_charges_to_origins', by_posting, [
        ('in', 'period_charges', charged),
        ('out', 'restated_origins', charged, "source_kind = 'contract'"),
    ]),
    ('origins_to_charges', by_posting, [
        ('in', 'restated_origins', {'contracted_cost': 'contracted_cost', 'effective_cost': 'effective_cost'}),
        ('out', 'restated_charges', {'contracted_cost': 'contracted_cost', 'effective_cost': 'effective_cost'},
            'origin_charge_id is not null'),
    ]),
    ('invoices_to_charges', by_posting, [
        ('in', 'restated_invoice_lines', {'billed_cost': 'billed_cost'}, "charge_category <> 'Tax'"),
        ('out', 'restated_charges', {'billed_cost': 'billed_cost'},
            "billed_by is not null or charge_kind = 'invoice_unplaced'"),
    ]),
    ('restated_to_charges', whole, [
        ('in', 'restated_charges', settled),
        ('out', 'charges', settled),
    ]),
    ('restated_to_charge_origins', whole, [
        ('in', 'restated_origins', {'contracted_cost': 'contracted_cost', 'effective_cost': 'effective_cost'}),
        ('out', 'origins', {'contracted_cost': 'contracted_cost', 'effective_cost': 'effective_cost'}),
    ]),
    ('restated_to_invoice_lines', whole, [
        ('in', 'restated_invoice_lines', {'billed_cost': 'billed_cost'}),
        ('out', 'invoice_lines', {'billed_cost': 'billed_cost'}),
    ]),
    ('closes_to_charges', by_posting, [
        ('in', 'closes', {
            'records': 'told_calls', 'contracted_cost': 'told_contracted_cost',
            'effective_cost': 'told_effective_cost', 'billed_cost': 'told_billed_cost',
        }),
        ('out', 'closed_charges', {
            'records': 'calls', 'contracted_cost': 'contracted_cost', 'effective_cost': 'effective_cost',
            'billed_cost': 'billed_cost',
        }),
    ]),
    ('usage_charges_to_chargeback_by_team', by_posting, [
        ('in', 'charges', calls, "charge_kind = 'usage'"),
        ('out', 'chargeback_by_team', calls),
    ]),
    ('usage_charges_to_chargeback_by_workflow', by_posting, [
        ('in', 'charges', calls, "charge_kind = 'usage'"),
        ('out', 'chargeback_by_workflow', calls),
    ]),
    ('charges_to_chargeback_by_team', by_posting, [
        ('in', 'charges', posted),
        ('out', 'chargeback_by_team', posted),
    ]),
    ('charges_to_chargeback_by_workflow', by_posting, [
        ('in', 'charges', posted),
        ('out', 'chargeback_by_workflow', posted),
    ]),
] %}

with partition_totals as (

    select * from {{ ref('stg_book__partition_totals') }}

),

lake_files as (

    select * from {{ ref('stg_book__lake_files') }}

),

rating_files as (

    select * from {{ ref('stg_book__rating_files') }}

),

planned_days as (

    select * from {{ ref('stg_plan__billing_days') }}

),

telling_days as (

    select * from {{ ref('int_telling_days_summed') }}

),

usage_days as (

    select
        *,
        usage_date as event_date
    from {{ ref('int_usage_days_summed') }}

),

task_days as (

    select
        *,
        usage_date as event_date
    from {{ ref('int_task_days_summed') }}

),

usage_daily as (

    select
        *,
        usage_date as event_date
    from {{ ref('fct_usage_daily') }}

),

cost_basis_daily as (

    select
        *,
        usage_date as event_date
    from {{ ref('fct_cost_basis_daily') }}

),

tasks as (

    select * from {{ ref('fct_tasks') }}

),

chargeback_by_team as (

    select * from {{ ref('fct_chargeback_by_team') }}

),

account_days as (

    select
        *,
        usage_date as event_date
    from {{ ref('int_account_days_summed') }}

),

charge_scopes as (

    select * from {{ ref('int_charge_scopes_told') }}

),

period_charges as (

    select * from {{ ref('fct_period_charges') }}

),

chargeback_by_workflow as (

    select * from {{ ref('fct_chargeback_by_workflow') }}

),

charges as (

    select * from {{ ref('fct_charges') }}

),

origins as (

    select * from {{ ref('fct_charge_origins') }}

),

invoice_lines as (

    select * from {{ ref('fct_invoice_lines') }}

),

restated_charges as (

    select * from {{ ref('int_charges_restated') }}

),

restated_origins as (

    select * from {{ ref('int_charge_origins_computed') }}

),

restated_invoice_lines as (

    select * from {{ ref('int_invoice_lines_read') }}

),

closes as (

    select * from {{ ref('stg_plan__closed_periods') }}
    where close_number is not null

),

closed_charges as (

    select * from charges
    where billing_period_start in (select closes.billing_period_start from closes)

),

usage_files as (

    select
        *,
        topic || '/' || kafka_partition as topic_partition
    from lake_files
    where table_name = 'usage'

),

reject_files as (

    select
        *,
        topic || '/' || kafka_partition as topic_partition
    from lake_files
    where table_name = 'rejects'

),

minute_files as (

    select * from lake_files
    where table_name = 'usage_minute'

),

partitions as (

    select
        *,
        topic || '/' || kafka_partition as topic_partition
    from partition_totals

),

sides as (

    {{ sides(hand_overs) }}

),

amounts as (

    select
        sides.hand_over,
        sides.scope_kind,
        sides.scope,
        measures.measure,
        sides.side,
        case measures.measure
            when 'records' then sides.records
            when 'input_tokens' then sides.input_tokens
            when 'output_tokens' then sides.output_tokens
            when 'list_cost' then sides.list_cost
            when 'contracted_cost' then sides.contracted_cost
            when 'effective_cost' then sides.effective_cost
            when 'billed_cost' then sides.billed_cost
        end as amount

    from sides

    cross join (
        values
        ('records'), ('input_tokens'), ('output_tokens'), ('list_cost'), ('contracted_cost'), ('effective_cost'),
        ('billed_cost')
    ) as measures (measure)

),

handed_over as (

    select
        hand_over,
        scope_kind,
        scope,
        measure,
        cast(coalesce(sum(amount) filter (where side = 'in'), 0) as decimal(38, 12)) as amount_in,
        cast(coalesce(sum(amount) filter (where side in ('out', 'listed')), 0) as decimal(38, 12)) as amount_out,
        cast(coalesce(sum(amount) filter (where side = 'listed'), 0) as decimal(38, 12)) as amount_listed

    from amounts

    where amount is not null

    group by all

)

select
    hand_over,
    scope_kind,
    scope,
    measure,
    amount_in,
    amount_out,
    amount_listed,
    amount_in - amount_out as difference

from handed_over
