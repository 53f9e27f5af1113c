{{ config(materialized='table', database='scratch') }}

{#- `with recursive` is of the whole statement, though only `walked` refers to itself. A tree ends at midnight UTC: what
    was called on one day from another begins a tree of its own. Only tasks in which a call led to another are walked. -#}
with recursive

calls as (

    select * from {{ ref('int_calls_deduplicated') }}

),

calls_of_tasks as materialized (

    select
        usage_date,
        workflow,
        task_id,
        call_id,
        parent_call_id,
        agent

    from calls

    where task_id is not null

),

tasks_with_trees as (

    select distinct
        usage_date,
        workflow,
        task_id

    from calls_of_tasks

    where parent_call_id is not null

),

-- Attempts that share an id are one place in the tree.
places as materialized (

    select
        calls_of_tasks.usage_date,
        calls_of_tasks.workflow,
        calls_of_tasks.task_id,
        calls_of_tasks.call_id,
        min(calls_of_tasks.agent) as agent,
        min(calls_of_tasks.parent_call_id) as parent_call_id

    from calls_of_tasks

    semi join tasks_with_trees
        on calls_of_tasks.usage_date = tasks_with_trees.usage_date
            and calls_of_tasks.workflow = tasks_with_trees.workflow
            and calls_of_tasks.task_id = tasks_with_trees.task_id

    group by all

),

walked as (

    select
        places.*,
        1 as depth,
        [places.agent] as agents_above

    from places

    anti join places as parents
        on places.usage_date = parents.usage_date
            and places.workflow = parents.workflow
            and places.task_id = parents.task_id
            and places.parent_call_id = parents.call_id

    union all

    select
        places.*,
        walked.depth + 1 as depth,
        case
            when list_contains(walked.agents_above, places.agent) then walked.agents_above
            else list_append(walked.agents_above, places.agent)
        end as agents_above

    from places

    inner join walked
        on places.usage_date = walked.usage_date
            and places.workflow = walked.workflow
            and places.task_id = walked.task_id
            and places.parent_call_id = walked.call_id

),

calls_led_to as (

    select
        usage_date,
        workflow,
        task_id,
        parent_call_id,
        count(*) as calls_below

    from places

    where parent_call_id is not null

    group by all

)

select
    walked.usage_date,
    walked.workflow,
    walked.task_id,
    walked.call_id,
    walked.depth,
    coalesce(calls_led_to.calls_below, 0) as calls_below,
    walked.agents_above

from walked

left join calls_led_to
    on walked.usage_date = calls_led_to.usage_date
        and walked.workflow = calls_led_to.workflow
        and walked.task_id = calls_led_to.task_id
        and walked.call_id = calls_led_to.parent_call_id
