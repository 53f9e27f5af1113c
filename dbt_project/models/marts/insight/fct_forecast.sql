{{ config(materialized='table') }}

with computed as (

    select * from {{ ref('int_forecast_computed') }}

)

select
    billing_period_start,
    cast(billing_period_start + interval 1 month as date) as billing_period_end,
    team,
    billing_currency,
    scenario,
    as_of_date,
    months_ahead,
    actual_cost,
    forecast_tasks,
    forecast_tokens,
    forecast_tokens_per_task,
    forecast_price_per_million_tokens,
    forecast_cost,
    forecast_lower_cost,
    forecast_upper_cost,
    forecast_method,
    reason,
    backtest_error,
    last_value_error,
    mean_error,
    seasonal_week_error,
    history_weeks,
    held_out_weeks,
    held_out_weeks_inside,
    base_start_date,
    base_tasks,
    base_priced_tokens,
    base_unpriced_tokens,
    base_cost,
    catalogue_version,
    scenario_entry

from computed
