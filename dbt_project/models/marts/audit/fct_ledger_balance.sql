{{ config(materialized='table') }}

with partition_totals as (

    select * from {{ ref('stg_book__partition_totals') }}

),

lake_files as (

    select * from {{ ref('stg_book__lake_files') }}

),

telling_days as (

    select * from {{ ref('int_telling_days_summed') }}

),

usage_days as (

    select * from {{ ref('int_usage_days_summed') }}

),

task_days as (

    select * from {{ ref('int_task_days_summed') }}

),

usage_daily as (

    select * from {{ ref('fct_usage_daily') }}

),

tasks as (

    select * from {{ ref('fct_tasks') }}

),

chargeback_by_team as (

    select * from {{ ref('fct_chargeback_by_team') }}

),

chargeback_by_workflow as (

    select * from {{ ref('fct_chargeback_by_workflow') }}

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

-- Each hand-over gives its amounts in, its amounts out, and of those out the ones that were listed and go no further.
sides as (

    {{ side('kafka_to_records', 'topic_partition', 'in', 'partitions', records='next_offset - first_offset') }}
    union all
    {{ side('kafka_to_records', 'topic_partition', 'out', 'partitions', records='records') }}
    union all
    {{
        side(
            'kafka_to_records', 'topic_partition', 'listed', 'partitions',
            records='tombstones + control_offsets + aborted_offsets + missing_offsets',
        )
    }}

    union all
    {{ side('records_to_usage', 'topic_partition', 'in', 'partitions', records='records') }}
    union all
    {{ side('records_to_usage', 'topic_partition', 'out', 'partitions', records='usage_rows') }}
    union all
    {{ side('records_to_usage', 'topic_partition', 'listed', 'partitions', records='reject_rows') }}

    union all
    {{
        side(
            'usage_to_commits', 'topic_partition', 'in', 'partitions',
            records='usage_rows', input_tokens='input_tokens', output_tokens='output_tokens', list_cost='list_cost',
        )
    }}
    union all
    {{
        side(
            'usage_to_commits', 'topic_partition', 'out', 'usage_files',
            records='told_rows', input_tokens='told_input_tokens', output_tokens='told_output_tokens',
            list_cost='told_list_cost',
        )
    }}

    union all
    {{ side('rejects_to_files', 'topic_partition', 'in', 'partitions', records='reject_rows') }}
    union all
    {{ side('rejects_to_files', 'topic_partition', 'out', 'reject_files', records='held_rows') }}

    union all
    {{
        side(
            'commits_to_files', 'event_date', 'in', 'usage_files',
            records='told_rows', input_tokens='told_input_tokens', output_tokens='told_output_tokens',
            list_cost='told_list_cost',
        )
    }}
    union all
    {{
        side(
            'commits_to_files', 'event_date', 'out', 'usage_files',
            records='held_rows', input_tokens='held_input_tokens', output_tokens='held_output_tokens',
            list_cost='held_list_cost',
        )
    }}

    union all
    {{
        side(
            'usage_to_minutes', 'event_date', 'in', 'usage_files',
            records='live_calls', input_tokens='live_input_tokens', output_tokens='live_output_tokens',
            list_cost='live_list_cost',
        )
    }}
    union all
    {{
        side(
            'usage_to_minutes', 'event_date', 'out', 'minute_files',
            records='live_calls', input_tokens='live_input_tokens', output_tokens='live_output_tokens',
            list_cost='live_list_cost',
        )
    }}

    union all
    {{
        side(
            'files_to_tellings', 'event_date', 'in', 'usage_files',
            records='held_rows', input_tokens='held_input_tokens', output_tokens='held_output_tokens',
            list_cost='held_list_cost',
        )
    }}
    union all
    {{
        side(
            'files_to_tellings', 'event_date', 'out', 'telling_days',
            where="telling_state in ('standing', 'superseded', 'voided')",
            records='tellings', input_tokens='input_tokens', output_tokens='output_tokens', list_cost='list_cost',
        )
    }}
    union all
    {{
        side(
            'files_to_tellings', 'event_date', 'listed', 'telling_days',
            where="telling_state in ('duplicate', 'conflict')",
            records='tellings', input_tokens='input_tokens', output_tokens='output_tokens', list_cost='list_cost',
        )
    }}

    union all
    {{
        side(
            'tellings_to_calls', 'event_date', 'in', 'telling_days',
            where="telling_state in ('standing', 'superseded', 'voided')",
            records='tellings', input_tokens='input_tokens', output_tokens='output_tokens', list_cost='list_cost',
        )
    }}
    union all
    {{ side('tellings_to_calls', 'usage_date', 'out', 'usage_days', **call_amounts()) }}
    union all
    {{
        side(
            'tellings_to_calls', 'event_date', 'listed', 'telling_days',
            where="telling_state in ('superseded', 'voided')",
            records='tellings', input_tokens='input_tokens', output_tokens='output_tokens', list_cost='list_cost',
        )
    }}

    union all
    {{ side('calls_to_task_days', 'usage_date', 'in', 'usage_days', **call_amounts()) }}
    union all
    {{ side('calls_to_task_days', 'usage_date', 'out', 'task_days', **call_amounts()) }}

    union all
    {{ side('task_days_to_tasks', "'ledger'", 'in', 'task_days', **call_amounts()) }}
    union all
    {{ side('task_days_to_tasks', "'ledger'", 'out', 'tasks', **call_amounts()) }}
    union all
    {{ side('task_days_to_tasks', "'ledger'", 'listed', 'task_days', where='task_id is null', **call_amounts()) }}

    union all
    {{ side('calls_to_usage_daily', 'usage_date', 'in', 'usage_days', **call_amounts()) }}
    union all
    {{ side('calls_to_usage_daily', 'usage_date', 'out', 'usage_daily', **call_amounts()) }}

    union all
    {{ side('calls_to_chargeback_by_team', 'billing_period_start', 'in', 'usage_days', **call_amounts()) }}
    union all
    {{ side('calls_to_chargeback_by_team', 'billing_period_start', 'out', 'chargeback_by_team', **call_amounts()) }}

    union all
    {{ side('calls_to_chargeback_by_workflow', 'billing_period_start', 'in', 'usage_days', **call_amounts()) }}
    union all
    {{
        side(
            'calls_to_chargeback_by_workflow', 'billing_period_start', 'out', 'chargeback_by_workflow',
            **call_amounts()
        )
    }}

),

amounts as (

    select
        sides.hand_over,
        sides.scope,
        measures.measure,
        sides.side,
        case measures.measure
            when 'records' then sides.records
            when 'input_tokens' then sides.input_tokens
            when 'output_tokens' then sides.output_tokens
            when 'list_cost' then sides.list_cost
        end as amount

    from sides

    cross join (values ('records'), ('input_tokens'), ('output_tokens'), ('list_cost')) as measures (measure)

),

handed_over as (

    select
        hand_over,
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
    scope,
    measure,
    amount_in,
    amount_out,
    amount_listed,
    amount_in - amount_out as difference

from handed_over
