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

-- The agents above a call are told in the order in which they first come in. Where one of them is called again further
-- down, its call ends the branch once more. A call that no tree reaches is a branch of its own.
calls_on_branches as (

    select
        calls.usage_date,
        calls.team,
        calls.workflow,
        calls.task_id,
        calls.billing_currency,
        calls.unpriced_calls,
        calls.total_tokens,
        calls.effective_cost,
        case
            when call_trees.agents_above is null then [calls.agent]
            when call_trees.agents_above[-1] = calls.agent then call_trees.agents_above
            else list_append(call_trees.agents_above, calls.agent)
        end as branch

    from calls

    left join call_trees
        on calls.usage_date = call_trees.usage_date
            and calls.workflow = call_trees.workflow
            and calls.task_id = call_trees.task_id
            and calls.call_id = call_trees.call_id

),

branches_of_tasks as (

    select
        usage_date,
        team,
        workflow,
        task_id,
        billing_currency,
        branch,
        count(*) as calls,
        sum(unpriced_calls) as unpriced_calls,
        sum(total_tokens) as total_tokens,
        sum(effective_cost) as effective_cost

    from calls_on_branches

    group by all

),

-- A call counts at its own branch, and at each that its branch begins with.
calls_under_branches as (

    select
        *,
        unnest(range(1, len(branch) + 1)) as agents_on_path

    from branches_of_tasks

)

select
    usage_date,
    team,
    workflow,
    branch[1:agents_on_path] as agent_path,
    branch[agents_on_path] as agent,
    branch[agents_on_path - 1] as caller_agent,
    billing_currency,
    cast(count(distinct task_id) as bigint) as tasks,
    cast(coalesce(sum(calls) filter (where agents_on_path = len(branch)), 0) as bigint) as calls,
    cast(sum(calls) as bigint) as inclusive_calls,
    cast(coalesce(sum(unpriced_calls) filter (where agents_on_path = len(branch)), 0) as bigint) as unpriced_calls,
    cast(sum(unpriced_calls) as bigint) as inclusive_unpriced_calls,
    cast(sum(total_tokens) filter (where agents_on_path = len(branch)) as bigint) as total_tokens,
    cast(sum(total_tokens) as bigint) as inclusive_total_tokens,
    cast(
        sum(effective_cost) filter (where agents_on_path = len(branch)) as decimal(38, 12)
    ) as effective_cost,
    cast(sum(effective_cost) as decimal(38, 12)) as inclusive_effective_cost

from calls_under_branches

group by all
