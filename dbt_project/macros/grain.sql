{#- Rows that share the columns a model's description calls its grain. Nulls count as equal. -#}
{% test grain(model, columns) %}

select
    {{ columns | join(', ') }},
    count(*) as rows_found

from {{ model }}

group by {{ columns | join(', ') }}

having count(*) > 1

{% endtest %}
