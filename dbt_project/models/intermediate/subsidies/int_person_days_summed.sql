{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook=["{{ delete_planned_dates('usage_date') }}", "{{ erase_persons() }}"]
    )
}}

-- depends_on: {{ ref('stg_plan__dates') }}

with calls as (

    select * from {{ ref('int_calls_deduplicated') }}

),

plan_scope as (

    select * from {{ ref('stg_plan__scope') }}

),

calls_of_principals as (

    select
        usage_date,
        billing_period_start,
        subscription_id,
        principal_id,
        billing_currency,
        {{ summed_person_measures() }}

    from calls

    where subscription_id is not null

    group by all

),

-- The identifier itself is kept by no table.
calls_of_persons as (

    select
        calls_of_principals.usage_date,
        calls_of_principals.billing_period_start,
        calls_of_principals.subscription_id,
        calls_of_principals.billing_currency,
        calls_of_principals.calls,
        calls_of_principals.unpriced_calls,
        calls_of_principals.unpriced_tokens,
        calls_of_principals.total_tokens,
        calls_of_principals.list_cost,
        case
            when calls_of_principals.principal_id is null then 'unknown'
            when list_contains(plan_scope.erased_persons, {{ pseudonym('calls_of_principals.principal_id') }})
                then 'unknown'
            else {{ pseudonym('calls_of_principals.principal_id') }}
        end as person

    from calls_of_principals

    cross join plan_scope

)

select
    usage_date,
    billing_period_start,
    subscription_id,
    person,
    billing_currency,
    {{ summed_person_measures() }}

from calls_of_persons

group by all
