{{ config(materialized='table') }}

with charges as (

    select * from {{ ref('fct_charges') }}

),

tasks_counted as (

    select * from {{ ref('int_tasks_counted') }}

),

charges_sorted as (

    select
        *,
        case
            when charge_class = 'Correction' or charge_kind = 'adjustment' then 'correction'
            when charge_kind = 'usage' then 'usage'
            when charge_kind = 'unpriced_estimate' then 'estimate'
            else 'period_charge'
        end as cost_part

    from charges

),

charges_summed as (

    select
        billing_period_start,
        team,
        workflow,
        billing_currency,
        {%- for measure in measure_names() if not measure.endswith('_cost') %}
        cast(coalesce(sum({{ measure }}) filter (where cost_part = 'usage'), 0) as bigint) as {{ measure }},
        {%- endfor %}
        {%- for part in ('usage', 'estimate', 'period_charge', 'correction') %}
        cast(sum(effective_cost) filter (where cost_part = '{{ part }}') as decimal(38, 12)) as {{ part }}_cost,
        {%- endfor %}
        cast(sum(effective_cost) as decimal(38, 12)) as effective_cost

    from charges_sorted

    group by all

),

tasks_known as (

    select
        charges_summed.*,
        cast(tasks_counted.calls as hugeint) as known_calls,
        cast(tasks_counted.tasks as hugeint) as known_tasks,
        cast(tasks_counted.calls_without_task as hugeint) as known_without

    from charges_summed

    left join tasks_counted
        on charges_summed.billing_period_start = tasks_counted.billing_period_start
            and charges_summed.team = tasks_counted.team
            and charges_summed.workflow = tasks_counted.workflow
            and charges_summed.billing_currency = tasks_counted.billing_currency

),

-- Calls that were found out after a period was closed are not in its charges, and neither are their tasks: of a closed
-- period stand as many tasks as the charged calls have by what is known now.
tasks_of_charged_calls as (

    select
        *,
        (2 * known_tasks * calls + known_calls) // (2 * known_calls) as rounded_tasks,
        (2 * known_without * calls + known_calls) // (2 * known_calls) as rounded_without

    from tasks_known

),

drivers as (

    select
        *,
        case
            when calls = 0 then 0
            when known_tasks > 0 then greatest(rounded_tasks, 1)
            else known_tasks
        end as tasks,
        case
            when calls = 0 then 0
            when known_without > 0 then greatest(rounded_without, 1)
            else known_without
        end as calls_without_task

    from tasks_of_charged_calls

)

select
    billing_period_start,
    cast(billing_period_start + interval 1 month as date) as billing_period_end,
    team,
    workflow,
    billing_currency,
    cast(tasks as bigint) as tasks,
    cast(calls_without_task as bigint) as calls_without_task,
    calls,
    unpriced_calls,
    unpriced_tokens,
    input_tokens,
    uncached_input_tokens,
    cache_read_tokens,
    cache_write_tokens,
    output_tokens,
    total_tokens,
    usage_cost,
    estimate_cost,
    period_charge_cost,
    correction_cost,
    effective_cost

from drivers
