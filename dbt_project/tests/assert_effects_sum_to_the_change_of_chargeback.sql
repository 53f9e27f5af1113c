-- Of every two of the last 13 billing periods the effects of a team and workflow sum to the change of what it is
-- charged, and those of a team to the change of the team. What has no known cost counts as nothing in a change.
{% set levels = {
    'fct_chargeback_by_workflow': ['team', 'workflow', 'billing_currency'],
    'fct_chargeback_by_team': ['team', 'billing_currency'],
} %}

with effects as (

    select * from {{ ref('fct_price_volume_mix') }}

),

last_periods as (

    select distinct billing_period_start as period_start

    from {{ ref('fct_chargeback_by_team') }}

    order by period_start desc

    limit 13

),

pairs as (

    select
        earlier.period_start as from_period_start,
        later.period_start as to_period_start

    from last_periods as earlier

    inner join last_periods as later
        on earlier.period_start < later.period_start

),

{%- for mart, names in levels.items() %}
{% set level = mart | replace('fct_chargeback_', '') %}

{{ level }}_charged_and_explained as (

    select
        pairs.from_period_start,
        pairs.to_period_start,
        {%- for name in names %}
        chargeback.{{ name }},
        {%- endfor %}
        case
            when chargeback.billing_period_start = pairs.to_period_start then coalesce(chargeback.effective_cost, 0)
            else -coalesce(chargeback.effective_cost, 0)
        end as unexplained

    from pairs

    inner join {{ ref(mart) }} as chargeback
        on pairs.from_period_start = chargeback.billing_period_start
            or pairs.to_period_start = chargeback.billing_period_start

    union all

    select
        from_period_start,
        to_period_start,
        {%- for name in names %}
        {{ name }},
        {%- endfor %}
        -coalesce(effect_cost, 0) as unexplained

    from effects

){{ ',' if not loop.last }}
{%- endfor %}

{% for mart, names in levels.items() %}
select
    '{{ mart }}' as mart,
    from_period_start,
    to_period_start,
    {{ names | join(' || \' \' || ') }} as place,
    sum(unexplained) as unexplained

from {{ mart | replace('fct_chargeback_', '') }}_charged_and_explained

group by all

having sum(unexplained) <> 0
{{ 'union all' if not loop.last }}
{% endfor %}
