"""What analysts, finance and the report ask of published marts; `$` names what a question is about."""

from __future__ import annotations

QUERIES = {
    "chargeback by workflow, all periods": (
        "select team, workflow, list_cost, unpriced_calls from finance.fct_chargeback_by_workflow order by all"
    ),
    "chargeback by team of a month": """
        select cost_center, team, calls, total_tokens, effective_cost
        from finance.fct_chargeback_by_team
        where billing_period_start = $period
        order by effective_cost desc nulls last
    """,
    "chargeback by team and month": """
        select team, billing_period_start, sum(effective_cost) as effective_cost, sum(unpriced_calls) as unpriced_calls
        from finance.fct_chargeback_by_team
        group by all
        order by all
    """,
    "dearest charges": """
        select charge_id, effective_cost, charge_description
        from finance.fct_charges
        order by effective_cost desc
        limit 3
    """,
    "charges of a team and month by model and mechanism": """
        select charge_kind, provider, model, sum(calls) as calls, sum(effective_cost) as effective_cost
        from finance.fct_charges
        where billing_period_start = $period and team = $team
        group by all
        order by effective_cost desc nulls last
    """,
    "hand-overs that differ": "select * from audit.fct_ledger_balance where difference <> 0",
    "price index": """
        select billing_period_start, index_kind, index_value, price_per_million_tokens
        from insight.fct_price_index
        where basket = 'all'
        order by all
    """,
    "top workflows of a month, and the month before": """
        select
            team,
            workflow,
            sum(effective_cost) filter (where billing_period_start = $period) as cost,
            sum(effective_cost) filter (where billing_period_start = $before) as cost_before
        from insight.fct_cost_drivers
        where billing_period_start in ($period, $before)
        group by all
        order by cost desc nulls last
        limit 20
    """,
    "drivers of a team over all months": """
        select
            billing_period_start,
            sum(tasks) as tasks,
            sum(calls) / sum(tasks) as calls_per_task,
            sum(total_tokens) / sum(calls) as tokens_per_call,
            sum(effective_cost) as cost
        from insight.fct_cost_drivers
        where team = $team
        group by all
        order by all
    """,
    "bridge of the organisation": """
        select effect, sum(effect_cost) as cost, count(*) filter (where effect_cost is null) as unknown
        from insight.fct_price_volume_mix
        where from_period_start = $before and to_period_start = $period
        group by all
        order by abs(sum(effect_cost)) desc
    """,
    "bridge of a team by workflow": """
        select workflow, effect, effect_cost
        from insight.fct_price_volume_mix
        where from_period_start = $before and to_period_start = $period and team = $team
        order by all
    """,
    "hidden cost by purpose and month, with its share": """
        select
            billing_period_start,
            purpose,
            sum(effective_cost) as cost,
            sum(effective_cost) / sum(sum(effective_cost)) over (partition by billing_period_start) as share
        from engineering.fct_hidden_cost
        group by billing_period_start, purpose
        order by all
    """,
    "hidden share by team of a month": """
        select
            team,
            sum(effective_cost) filter (where purpose <> 'generation')
            / nullif(sum(effective_cost) filter (where purpose = 'generation'), 0) as on_top
        from engineering.fct_hidden_cost
        where billing_period_start = $period
        group by all
        order by on_top desc nulls last
    """,
    "p50 and p99 of tasks by workflow of a month": """
        select team, workflow, tasks, cost_p50, cost_p99, largest_task_cost
        from engineering.fct_task_economics
        where billing_period_start = $period and cohort_kind = 'workflow'
        order by cost_p99 desc nulls last
    """,
    "cost of a success, and the share of failed tasks, by month": """
        select
            billing_period_start,
            sum(priced_cost) / sum(succeeded_tasks) as cost_per_success,
            sum(failed_cost) / sum(priced_cost) as failed_share
        from engineering.fct_task_economics
        where cohort_kind = 'workflow'
        group by all
        order by all
    """,
    "releases of a workflow": """
        select billing_period_start, release, tasks, cost_per_task, cost_per_successful_task
        from engineering.fct_task_economics
        where cohort_kind = 'release' and workflow = $workflow
        order by all
    """,
    "outcomes of tasks by month": """
        select
            billing_period_start,
            sum(succeeded_tasks) as succeeded,
            sum(failed_tasks) as failed,
            sum(unjudged_tasks) as unjudged,
            sum(effective_cost) as cost
        from engineering.fct_task_economics
        where cohort_kind = 'workflow'
        group by all
        order by all
    """,
    "outcomes of all tasks, from each of them": """
        select outcome, count(*) as tasks, sum(list_cost) as list_cost
        from engineering.fct_tasks
        group by all
    """,
    "dearest tasks of a week": """
        select task_id, team, workflow, outcome, calls, agents, depth, effective_cost
        from engineering.fct_tasks
        where started_at >= $newest - interval 7 day
        order by effective_cost desc nulls last
        limit 20
    """,
    "dearest tasks of a team and month": """
        select task_id, workflow, outcome, calls, agents, depth, effective_cost
        from engineering.fct_tasks
        where team = $team and started_at >= $period and started_at < $period + interval 1 month
        order by effective_cost desc nulls last
        limit 20
    """,
    "p99 of a team's tasks, from its tasks of a month": """
        select workflow, count(*) as tasks, quantile_disc(effective_cost, [0.5, 0.9, 0.99]) as percentiles
        from engineering.fct_tasks
        where team = $team and started_at >= $period and started_at < $period + interval 1 month
            and unpriced_calls = 0
        group by all
    """,
    "one task of a known day": """
        select * from engineering.fct_tasks
        where started_at >= $day and started_at < $day + interval 1 day and task_id = $task_id
    """,
    "one task, of any day": "select * from engineering.fct_tasks where task_id = $task_id",
    "agents of a month with those that they called": """
        select agent, sum(effective_cost) as own, sum(inclusive_effective_cost) as inclusive
        from engineering.fct_agent_costs
        where usage_date >= $period and usage_date < $period + interval 1 month
        group by all
        order by inclusive desc nulls last
        limit 20
    """,
    "models by day of a month": """
        select usage_date, model, sum(calls) as calls, sum(effective_cost) as cost
        from engineering.fct_usage_daily
        where usage_date >= $period and usage_date < $period + interval 1 month
        group by all
        order by all
    """,
    "cost by day of all history": """
        select usage_date, sum(effective_cost) as cost, sum(unpriced_calls) as unpriced_calls
        from engineering.fct_usage_daily
        group by all
        order by all
    """,
    "persons who use a plan most": """
        select person, calls, list_cost, fee_cost, subsidy_multiple, cheapest_plan
        from insight.fct_subsidies
        where billing_period_start = $period
        order by usage_rank
        limit 20
    """,
    "what plans are worth, by month": """
        select
            billing_period_start,
            subscription_id,
            any_value(plan_list_cost) as worth,
            any_value(plan_fee_cost) as fees,
            any_value(gini) as gini,
            sum(cheapest_cost) as cheapest
        from insight.fct_subsidies
        group by all
        order by all
    """,
    "points of margin by product, and their change": """
        select distinct billing_period_start, product, product_points_lost, product_points_lost_change
        from insight.fct_margins
        where margin_level <> 'period_charges'
        order by all
    """,
    "dearest customers of a month": """
        select product, customer_id, ai_cost, revenue, points_lost
        from insight.fct_margins
        where billing_period_start = $period and margin_level = 'customer'
        order by ai_cost desc nulls last
        limit 20
    """,
    "forecast by team": """
        select
            team,
            billing_period_start,
            sum(actual_cost + forecast_cost) as cost,
            max(backtest_error) as error
        from insight.fct_forecast
        group by all
        order by all
    """,
}
"""What analysts, finance and the report ask, by name; `$` names what a question is about."""
