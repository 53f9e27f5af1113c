{#- Of usage: calls, tokens, list and contracted cost. What is posted and what was billed is of every charge. -#}
{% macro summed_charges() -%}
    {%- for name in measure_names() %}
        {%- if name in ('list_cost', 'contracted_cost') %}
        cast(sum({{ name }}) filter (where charge_kind = 'usage') as decimal(38, 12)) as {{ name }}
        {%- elif name.endswith('_cost') %}
        cast(sum({{ name }}) as decimal(38, 12)) as {{ name }}
        {%- else %}
        cast(sum({{ name }}) as bigint) as {{ name }}
        {%- endif %}
        {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}
