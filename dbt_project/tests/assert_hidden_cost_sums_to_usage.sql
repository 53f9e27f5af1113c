-- What usage costs by what it was for sums to what it costs, and so do calls and tokens.
with hidden_cost as (

    select
        billing_period_start,
        team,
        workflow,
        sum(calls) as calls,
        sum(total_tokens) as total_tokens,
        sum(effective_cost) as effective_cost

    from {{ ref('fct_hidden_cost') }}

    group by all

),

usage_charged as (

    select
        billing_period_start,
        team,
        workflow,
        sum(calls) as calls,
        coalesce(sum(total_tokens), 0) as total_tokens,
        sum(effective_cost) as effective_cost

    from {{ ref('int_usage_days_summed') }}

    group by all

)

select
    coalesce(hidden_cost.billing_period_start, usage_charged.billing_period_start) as billing_period_start,
    coalesce(hidden_cost.team, usage_charged.team) as team,
    coalesce(hidden_cost.workflow, usage_charged.workflow) as workflow,
    usage_charged.effective_cost,
    hidden_cost.effective_cost as effective_cost_by_purpose

from hidden_cost

full outer join usage_charged
    on hidden_cost.billing_period_start = usage_charged.billing_period_start
        and hidden_cost.team = usage_charged.team
        and hidden_cost.workflow = usage_charged.workflow

where hidden_cost.calls is distinct from usage_charged.calls
    or hidden_cost.total_tokens is distinct from usage_charged.total_tokens
    or hidden_cost.effective_cost is distinct from usage_charged.effective_cost
