{#- Rows that share the columns a model's description calls its grain. Nulls count as equal. With `within`, the names of
    a first and a last date, only rows that touch the planned dates are looked at: the others have not changed. -#}
{% test grain(model, columns, within=none) %}

select
    {{ columns | join(', ') }},
    count(*) as rows_found

from {{ model }}

{% if within -%}
where exists (
    select 1
    from {{ ref('stg_plan__dates') }} as dates
    where dates.event_date between cast({{ within[0] }} as date) and cast({{ within[1] }} as date)
)
{%- endif %}

group by {{ columns | join(', ') }}

having count(*) > 1

{% endtest %}
