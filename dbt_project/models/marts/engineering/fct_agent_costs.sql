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

call_trees as (

    select * from {{ ref('int_call_trees_walked') }}

),

-- A call that no tree reaches is its agent's alone. Calls of several agents may share a place in a tree, by their id:
-- each is its own agent's all the same.
calls_under_agents as (

    select
        calls.*,
        unnest(list_distinct(list_append(coalesce(call_trees.agents_above, []), calls.agent))) as agent_above

    from calls

    left join call_trees
        on calls.usage_date = call_trees.usage_date
            and calls.workflow = call_trees.workflow
            and calls.task_id = call_trees.task_id
            and calls.call_id = call_trees.call_id

)

select
    usage_date,
    team,
    workflow,
    agent_above as agent,
    billing_currency,
    cast(count(distinct task_id) as bigint) as tasks,
    cast(count(*) filter (where agent = agent_above) as bigint) as calls,
    cast(count(*) as bigint) as inclusive_calls,
    cast(coalesce(sum(unpriced_calls) filter (where agent = agent_above), 0) as bigint) as unpriced_calls,
    cast(sum(unpriced_calls) as bigint) as inclusive_unpriced_calls,
    cast(sum(total_tokens) filter (where agent = agent_above) as bigint) as total_tokens,
    cast(sum(total_tokens) as bigint) as inclusive_total_tokens,
    cast(sum(effective_cost) filter (where agent = agent_above) as decimal(38, 12)) as effective_cost,
    cast(sum(effective_cost) as decimal(38, 12)) as inclusive_effective_cost

from calls_under_agents

group by all
