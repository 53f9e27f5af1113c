{#- A task may span dates, so a planned date touches whole tasks: those that have calls on it now, and those that had
    some when they were last summed. All days of a task lie on a planned date or between the dates it was known to span.
    Temporary tables, because the touched tasks must be known before their old rows go and after. -#}
{% macro delete_touched_tasks() %}
    {% if is_incremental() %}
        create or replace temporary table tasks_touched as

        with planned_dates as (

            select * from {{ ref('stg_plan__dates') }}

        ),

        tasks_now as (

            select distinct
                task_days.workflow,
                task_days.task_id

            from {{ ref('int_task_days_summed') }} as task_days

            semi join planned_dates
                on task_days.usage_date = planned_dates.event_date

            where task_days.task_id is not null

        ),

        tasks_before as (

            select * from {{ this }}

        ),

        tasks_before_on_planned_dates as (

            select
                workflow,
                task_id

            from tasks_before

            where {{ touches_planned_dates('tasks_before') }}

        ),

        tasks_on_planned_dates as (

            select * from tasks_now

            union

            select * from tasks_before_on_planned_dates

        )

        select
            tasks_on_planned_dates.workflow,
            tasks_on_planned_dates.task_id,
            cast(tasks_before.started_at as date) as first_date,
            cast(tasks_before.ended_at as date) as last_date

        from tasks_on_planned_dates

        left join tasks_before
            on tasks_on_planned_dates.workflow = tasks_before.workflow
                and tasks_on_planned_dates.task_id = tasks_before.task_id;

        create or replace temporary table task_dates_touched as

        with task_dates as (

            select event_date as usage_date from {{ ref('stg_plan__dates') }}

            union

            select cast(unnest(generate_series(first_date, last_date, interval 1 day)) as date) as usage_date

            from (select distinct first_date, last_date from tasks_touched where first_date is not null) as spans

        )

        select usage_date from task_dates;

        delete from {{ this }} as tasks
        using tasks_touched
        where tasks.workflow = tasks_touched.workflow
            and tasks.task_id = tasks_touched.task_id
    {% endif %}
{% endmacro %}


{#- Billing periods in which a task begins that touches a planned date; and those whose sums are no longer those of their
    tasks, as where a task's calls on such a date are gone. -#}
{% macro delete_periods_of_touched_tasks() %}
    {% if is_incremental() %}
        create or replace temporary table task_periods_touched as

        with tasks as (

            select * from {{ ref('fct_tasks') }}

        ),

        billing_periods as (

            select * from {{ ref('int_billing_periods_dated') }}

        ),

        planned_dates as (

            select * from {{ ref('stg_plan__dates') }}

        ),

        tasks_dated as (

            select
                tasks.*,
                billing_periods.billing_period_start

            from tasks

            inner join billing_periods
                on tasks.started_at >= billing_periods.period_begins_at
                    and tasks.started_at < billing_periods.period_ends_at

        ),

        periods_now as (

            select
                billing_period_start,
                count(*) as tasks,
                sum(calls) as calls,
                sum(total_tokens) as total_tokens,
                sum(effective_cost) as effective_cost

            from tasks_dated

            group by all

        ),

        periods_before as (

            select
                billing_period_start,
                sum(tasks) as tasks,
                sum(calls) as calls,
                sum(total_tokens) as total_tokens,
                sum(effective_cost) as effective_cost

            from {{ this }}

            where cohort_kind = 'workflow'

            group by all

        ),

        differing as (

            (select * from periods_now except select * from periods_before)

            union

            (select * from periods_before except select * from periods_now)

        )

        select billing_period_start from differing

        union

        select billing_period_start

        from tasks_dated

        where {{ touches_planned_dates('tasks_dated') }};

        delete from {{ this }}
        where billing_period_start in (select touched.billing_period_start from task_periods_touched as touched)
    {% endif %}
{% endmacro %}


{#- Whether a task was at work on a date in the relation `planned_dates`. Instants are compared first: most tasks are of
    long ago, and to find the date of an instant costs more than all else. -#}
{% macro touches_planned_dates(tasks) -%}
    {{ tasks }}.ended_at >= (select cast(min(planned_dates.event_date) as timestamptz) from planned_dates)
    and {{ tasks }}.started_at < (select cast(max(planned_dates.event_date) + 1 as timestamptz) from planned_dates)
    and exists (
        select 1
        from planned_dates
        where planned_dates.event_date between cast({{ tasks }}.started_at as date) and cast({{ tasks }}.ended_at as date)
    )
{%- endmacro %}
