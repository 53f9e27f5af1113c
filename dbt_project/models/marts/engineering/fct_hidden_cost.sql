{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{{ delete_computed_periods('int_hidden_cost_computed') }}"
    )
}}

with hidden_cost as (

    select * from {{ ref('int_hidden_cost_computed') }}

    where purpose is not null

),

generation as (

    select
        billing_period_start,
        team,
        workflow,
        billing_currency,
        sum(effective_cost) as generation_cost

    from hidden_cost

    where purpose = 'generation'

    group by all

)

select
    hidden_cost.billing_period_start,
    cast(hidden_cost.billing_period_start + interval 1 month as date) as billing_period_end,
    hidden_cost.team,
    hidden_cost.workflow,
    hidden_cost.purpose,
    hidden_cost.rule,
    hidden_cost.billing_currency,
    hidden_cost.calls,
    hidden_cost.unpriced_calls,
    hidden_cost.unpriced_tokens,
    hidden_cost.total_tokens,
    hidden_cost.effective_cost,
    {{ ratio_of('hidden_cost.effective_cost', 'generation.generation_cost', 1) }} as share_of_generation,
    hidden_cost.catalogue_version

from hidden_cost

left join generation
    on hidden_cost.billing_period_start = generation.billing_period_start
        and hidden_cost.team = generation.team
        and hidden_cost.workflow = generation.workflow
        and hidden_cost.billing_currency = generation.billing_currency
