"""The questions that the page puts to the published file. Sums are cast, since DuckDB widens them."""

from __future__ import annotations

PUBLICATION = "select built_commit, built_at from audit.publication"

MONTHS = """
with charged as (

    select
        billing_period_start,
        billing_period_end,
        cast(sum(calls) as bigint) as calls,
        cast(sum(unpriced_calls) as bigint) as unpriced_calls,
        cast(coalesce(sum(total_tokens), 0) as bigint) as total_tokens,
        cast(coalesce(sum(unpriced_tokens), 0) as bigint) as unpriced_tokens,
        cast(sum(list_cost) as decimal(38, 12)) as list_cost
    from finance.fct_chargeback_by_team
    group by all
    having sum(calls) > 0

),

used as (

    -- Days are UTC: the last one of a period of another zone may end after it.
    select
        periods.billing_period_start,
        max(least(greatest(days.usage_date, periods.billing_period_start), periods.billing_period_end - 1)) as last_day
    from engineering.fct_usage_daily as days
    inner join finance.dim_billing_periods as periods
        on cast(days.usage_date as timestamptz) < periods.period_ends_at
            and cast(days.usage_date + 1 as timestamptz) > periods.period_begins_at
    group by all

),

begun as (

    select
        periods.billing_period_start,
        count(*) as tasks,
        cast(coalesce(sum(tasks.total_tokens), 0) as bigint) as task_tokens,
        cast(sum(tasks.list_cost) as decimal(38, 12)) as task_cost
    from engineering.fct_tasks as tasks
    inner join finance.dim_billing_periods as periods
        on tasks.started_at >= periods.period_begins_at and tasks.started_at < periods.period_ends_at
    group by all

)

select
    charged.billing_period_start,
    coalesce(used.last_day, charged.billing_period_start),
    coalesce(used.last_day = charged.billing_period_end - 1, false),
    charged.calls,
    charged.unpriced_calls,
    charged.total_tokens,
    charged.unpriced_tokens,
    charged.list_cost,
    coalesce(begun.tasks, 0),
    coalesce(begun.task_tokens, 0),
    begun.task_cost

from charged

left join used using (billing_period_start)

left join begun using (billing_period_start)

order by all
"""

DAYS = """
with costs as (

    select usage_date, cast(sum(list_cost) as decimal(38, 12)) as list_cost
    from engineering.fct_usage_daily
    group by all

),

calendar as (

    select cast(unnest(generate_series(min(usage_date), max(usage_date), interval 1 day)) as date) as usage_date
    from costs

)

select calendar.usage_date, costs.list_cost
from calendar
left join costs using (usage_date)
order by all
"""

MODELS = """
select
    model,
    string_agg(distinct providers, ', ' order by providers),
    cast(sum(calls) as bigint),
    cast(sum(unpriced_calls) as bigint),
    cast(coalesce(sum(total_tokens), 0) as bigint),
    cast(sum(list_cost) as decimal(38, 12))
from engineering.fct_usage_daily
group by model
order by 6 desc nulls last, 5 desc, 1
"""

TASKS = """
select task_id, workflow, team, started_at, calls, agents, coalesce(total_tokens, 0), list_cost
from engineering.fct_tasks
where list_cost is not null
order by list_cost desc, workflow, task_id
limit 10
"""

TASK_GROUPS = """
with named as (

    select 'outcome' as kind, outcome as name, * from engineering.fct_tasks
    union all by name
    select 'calls' as kind, if(failed_calls > 0, 'some failed', 'none failed') as name, * from engineering.fct_tasks

)

select
    kind,
    name,
    count(*),
    cast(sum(calls) as bigint),
    cast(coalesce(sum(total_tokens), 0) as bigint),
    cast(sum(list_cost) as decimal(38, 12))
from named
group by all
order by kind desc, 3 desc, name
"""

RECORDS = """
select 'read', cast(coalesce(sum(records), 0) as bigint) from audit.fct_kafka_offsets
union all
select 'rejected', cast(coalesce(sum(reject_rows), 0) as bigint) from audit.fct_kafka_offsets
union all
select telling_state, cast(sum(tellings) as bigint) from audit.fct_tellings_daily group by all
"""

BALANCE = """
with by_scope_kind as (

    select
        hand_over,
        measure,
        scope_kind,
        cast(sum(amount_in) as decimal(38, 12)) as amount_in,
        cast(sum(amount_out) as decimal(38, 12)) as amount_out,
        cast(sum(amount_listed) as decimal(38, 12)) as amount_listed,
        count(*) filter (difference <> 0) as differing
    from audit.fct_ledger_balance
    group by all

)

-- A hand-over is compared by date or period and once more as a whole: each amount is in one row of each kind of scope.
select
    hand_over,
    measure,
    arg_max(amount_in, scope_kind = 'ledger'),
    arg_max(amount_out, scope_kind = 'ledger'),
    arg_max(amount_listed, scope_kind = 'ledger'),
    cast(sum(differing) as bigint)
from by_scope_kind
group by all
order by all
"""
