{#- One side of a hand-over: the amounts of a relation summed for each scope. An amount that is not named is not handed
    over there. What is unknown hands over nothing, so a sum without known amounts counts as zero here. -#}
{% macro side(
    hand_over, scope, side, relation, where='true', records='null', input_tokens='null', output_tokens='null', list_cost='null'
) -%}
    select
        '{{ hand_over }}' as hand_over,
        cast({{ scope }} as varchar) as scope,
        '{{ side }}' as side,
        {%- for name, amount in [
            ('records', records),
            ('input_tokens', input_tokens),
            ('output_tokens', output_tokens),
            ('list_cost', list_cost),
        ] %}
        {%- if amount == 'null' %}
        cast(null as decimal(38, 12)) as {{ name }}
        {%- else %}
        cast(coalesce(sum({{ amount }}), 0) as decimal(38, 12)) as {{ name }}
        {%- endif %}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ relation }}
    where {{ where }}
    group by 2
{%- endmacro %}


{% macro call_amounts() -%}
    {{ return({
        'records': 'calls',
        'input_tokens': 'input_tokens',
        'output_tokens': 'output_tokens',
        'list_cost': 'list_cost',
    }) }}
{%- endmacro %}
