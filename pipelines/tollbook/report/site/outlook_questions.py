"""Questions about what is ahead: forecasts, and where inference should run. Put after `questions.PREPARATION`."""

from __future__ import annotations

from typing import Final

from tollbook.report.site.questions import MOST_PERIODS

MOST_WEEKS: Final = 26
"""Weeks of history before a forecast, as many as it looks at."""

MOST_WORKLOADS: Final = 100
"""Workloads that are shown, the dearest."""

MONTHS: Final = """
select strftime(billing_period_start, '%b %Y')
from (select distinct billing_period_start from insight.fct_forecast)
order by billing_period_start
"""

FORECAST: Final = """
select
    strftime(forecast.billing_period_start, '%b %Y') as month,
    coalesce(named.team, forecast.team) as team,
    forecast.billing_currency as currency,
    forecast.scenario,
    min(forecast.months_ahead) as ahead,
    strftime(max(forecast.as_of_date), '%Y-%m-%d') as known_to,
    cast(sum(forecast.actual_cost) as decimal(38, 12)) as actual,
    cast(sum(forecast.forecast_tasks) as bigint) as tasks,
    cast(sum(forecast.forecast_tokens) as bigint) as tokens,
    cast(sum(forecast.forecast_cost) as decimal(38, 12)) as cost,
    cast(sum(forecast.forecast_lower_cost) as decimal(38, 12)) as lower,
    cast(sum(forecast.forecast_upper_cost) as decimal(38, 12)) as upper,
    if(count(*) = 1, max(forecast.forecast_price_per_million_tokens), null) as price,
    if(count(*) = 1, max(forecast.forecast_method), null) as method,
    string_agg(distinct forecast.reason, ',' order by forecast.reason) as reasons,
    if(count(*) = 1, max(forecast.held_out_weeks), null) as held_out_weeks,
    if(count(*) = 1, max(forecast.backtest_error), null) as error,
    if(count(*) = 1, max(forecast.last_value_error), null) as last_day_error,
    if(count(*) = 1, max(forecast.mean_error), null) as mean_error,
    if(count(*) = 1, max(forecast.seasonal_week_error), null) as last_week_error
from insight.fct_forecast as forecast
left join (select own_team, min(team) as team from cells group by own_team) as named
    on forecast.team = named.own_team
group by 1, 2, 3, 4
order by all
"""
"""What is told of one team alone, such as its error, is null of several that are summed under one name."""

HISTORY: Final = f"""
with known as (

    select
        max(as_of_date) as last_day,
        min(billing_period_start) as first_month
    from insight.fct_forecast

),

days as (

    select
        usage.usage_date,
        coalesce(named.team, usage.team) as team,
        usage.billing_currency as currency,
        usage.effective_cost,
        cast(date_trunc('month', usage.usage_date) as date) as month_start,
        known.last_day - cast(7 * ((known.last_day - usage.usage_date) // 7) as integer) as week_end,
        known.first_month,
        min(usage.usage_date) over () as first_day
    from engineering.fct_usage_daily as usage
    inner join known on usage.usage_date <= known.last_day
    left join (select own_team, min(team) as team from cells group by own_team) as named on usage.team = named.own_team

),

spans as (

    select
        'month' as span,
        strftime(month_start, '%b %Y') as label,
        month_start as starts,
        team,
        currency,
        effective_cost
    from days
    where month_start < first_month and month_start >= first_month - interval {MOST_PERIODS} month
    union all
    select 'week', strftime(week_end, '%d %b %Y'), cast(week_end - 6 as date), team, currency, effective_cost
    from days
    where week_end - 6 >= first_day and week_end > (select last_day from known) - 7 * {MOST_WEEKS}

)

select
    span,
    label,
    starts,
    team,
    currency,
    cast(sum(effective_cost) as decimal(38, 12)) as cost
from spans
group by all
order by span, starts, team, currency
"""
"""What usage cost before the months ahead: by month of UTC, and by week back from the last complete day."""

_WORKLOADS: Final = f"""
select paths.workload
from insight.fct_unit_cost_paths as paths
inner join periods on paths.billing_period_start = periods.billing_period_start
group by paths.workload
order by max(coalesce(paths.workload_cost, 0)) desc, paths.workload
limit {MOST_WORKLOADS}
"""

WORKLOADS: Final = f"select workload from ({_WORKLOADS}) order by all"

PATHS: Final = f"""
select
    paths.billing_period_start as period,
    paths.workload,
    paths.inference_path as path,
    paths.billing_currency as currency,
    paths.calls,
    coalesce(paths.total_tokens, 0) as tokens,
    coalesce(paths.tasks, 0) as tasks,
    paths.covered_hours,
    paths.workload_cost,
    coalesce(paths.observed_tokens, 0) as observed_tokens,
    paths.observed_cost,
    paths.path_cost as cost,
    paths.cost_per_million_tokens as per_million,
    paths.cost_per_task as per_task,
    coalesce(paths.is_cheapest, false) as is_cheapest,
    paths.excluded_reason as excluded,
    paths.cost_kind as kind,
    paths.offer_id as offer,
    paths.vendor,
    paths.region,
    paths.instance,
    paths.served_model,
    paths.price_source,
    strftime(paths.price_observed_on, '%Y-%m-%d') as price_observed_on,
    paths.throughput_source,
    paths.instance_cost,
    paths.instance_hourly_cost,
    paths.instances,
    paths.planned_utilisation,
    paths.utilisation,
    paths.break_even_tokens,
    paths.break_even_utilisation,
    paths.break_even_reason,
    paths.api_price_decline,
    paths.break_even_tokens_in_a_year,
    paths.break_even_utilisation_in_a_year,
    paths.break_even_tokens_over_life,
    paths.break_even_utilisation_over_life,
    paths.other_life_months,
    paths.other_life_cost,
    paths.break_even_tokens_at_other_life,
    paths.payback_months,
    paths.caveats
from insight.fct_unit_cost_paths as paths
inner join periods on paths.billing_period_start = periods.billing_period_start
semi join ({_WORKLOADS}) as shown on paths.workload = shown.workload
order by period, workload, path
"""
