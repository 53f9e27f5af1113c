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

)

select
    charges_summed.billing_period_start,
    cast(charges_summed.billing_period_start + interval 1 month as date) as billing_period_end,
    charges_summed.team,
    charges_summed.workflow,
    charges_summed.billing_currency,
    case when charges_summed.calls = 0 then 0 else tasks_counted.tasks end as tasks,
    case when charges_summed.calls = 0 then 0 else tasks_counted.calls_without_task end as calls_without_task,
    charges_summed.calls,
    charges_summed.unpriced_calls,
    charges_summed.unpriced_tokens,
    charges_summed.input_tokens,
    charges_summed.uncached_input_tokens,
    charges_summed.cache_read_tokens,
    charges_summed.cache_write_tokens,
    charges_summed.output_tokens,
    charges_summed.total_tokens,
    charges_summed.usage_cost,
    charges_summed.estimate_cost,
    charges_summed.period_charge_cost,
    charges_summed.correction_cost,
    charges_summed.effective_cost

from charges_summed

left join tasks_counted
    on charges_summed.billing_period_start = tasks_counted.billing_period_start
        and charges_summed.team = tasks_counted.team
        and charges_summed.workflow = tasks_counted.workflow
        and charges_summed.billing_currency = tasks_counted.billing_currency
