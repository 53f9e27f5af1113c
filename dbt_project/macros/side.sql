{#- One side of a hand-over: the amounts of a relation summed for each scope. An amount that is not named is not handed
    over there. What is unknown hands over nothing, so a sum without known amounts counts as zero here. Scopes that this
    build does not touch keep the rows they have; those of the whole ledger, of Kafka and of what is posted are made by every build. -#}
{% macro side(hand_over, scope_kind, side, relation, amounts, condition='true') -%}
    {%- set scope = {
        'kafka_partition': 'topic_partition',
        'event_date': 'event_date',
        'billing_period': 'billing_period_start',
        'posted_period': 'billing_period_start',
        'ledger': "'all'",
    }[scope_kind] %}
    select
        '{{ hand_over }}' as hand_over,
        '{{ scope_kind }}' as scope_kind,
        cast({{ scope }} as varchar) as scope,
        '{{ side }}' as side,
        {%- for measure in ('records', 'input_tokens', 'output_tokens', 'list_cost', 'contracted_cost', 'effective_cost', 'billed_cost') %}
        {%- if amounts[measure] is defined %}
        cast(coalesce(sum({{ amounts[measure] }}), 0) as decimal(38, 12)) as {{ measure }}
        {%- else %}
        cast(null as decimal(38, 12)) as {{ measure }}
        {%- endif %}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ relation }}
    where {{ condition }}
    {%- if is_incremental() and scope_kind in ('event_date', 'billing_period') %}
        and {{ scope }} in (select planned_days.{{ scope }} from planned_days)
    {%- endif %}
    group by scope
{%- endmacro %}


{% macro sides(hand_overs) -%}
    {%- set selects = [] -%}
    {%- for hand_over, scope_kinds, parts in hand_overs -%}
        {%- for scope_kind in scope_kinds -%}
            {%- for part in parts -%}
                {%- do selects.append(side(hand_over, scope_kind, part[0], part[1], part[2], part[3] or 'true')) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ selects | join('\n\n    union all\n') }}
{%- endmacro %}


{% macro delete_planned_scopes() %}
    {% if is_incremental() %}
        delete from {{ this }}
        where scope_kind in ('kafka_partition', 'ledger', 'posted_period')
            or (
                scope_kind = 'event_date'
                and scope in (
                    select cast(billing_days.event_date as varchar)
                    from {{ ref('stg_plan__billing_days') }} as billing_days
                )
            )
            or (
                scope_kind = 'billing_period'
                and scope in (
                    select cast(billing_days.billing_period_start as varchar)
                    from {{ ref('stg_plan__billing_days') }} as billing_days
                )
            )
    {% endif %}
{% endmacro %}
