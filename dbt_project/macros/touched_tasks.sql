{#- A task may span dates, so a planned date touches whole tasks: those that have calls on it now, and those that had
    some when they were last summed. Their days lie between the dates known from both. Temporary tables, because
    the touched tasks must be known before the old rows go and after. -#}
{% macro delete_touched_tasks() %}
    {% if is_incremental() %}
        create or replace temporary table tasks_touched as

        with planned_dates as (

            select * from {{ ref('stg_plan__dates') }}

        )

        select
            task_days.workflow,
            task_days.task_id,
            task_days.usage_date as first_date,
            task_days.usage_date as last_date

        from {{ ref('int_task_days_summed') }} as task_days

        semi join planned_dates
            on task_days.usage_date = planned_dates.event_date

        where task_days.task_id is not null

        union all

        select
            tasks.workflow,
            tasks.task_id,
            cast(tasks.started_at as date) as first_date,
            cast(tasks.ended_at as date) as last_date

        from {{ this }} as tasks

        where exists (
            select 1
            from planned_dates
            where planned_dates.event_date between cast(tasks.started_at as date) and cast(tasks.ended_at as date)
        );

        create or replace temporary table task_dates_touched as

        select distinct unnest(generate_series(first_date, last_date, interval 1 day))::date as usage_date

        from tasks_touched;

        delete from {{ this }} as tasks
        using tasks_touched
        where tasks.workflow = tasks_touched.workflow
            and tasks.task_id = tasks_touched.task_id
    {% endif %}
{% endmacro %}
