{#- Usage files never change, so a telling keeps the rating that it was metered with; what a rerate found takes its place
    here. `rating_sequence` is 0 where none did. -#}
{% macro rate_tellings(relation) %}
with tellings as (

    select * from {{ relation }}

),

ratings as (

    select * from {{ ref('int_ratings_in_force') }}

)

select
    tellings.* replace (
        {%- for column in [
            'list_cost',
            'contracted_cost',
            'contract_id',
            'cost_basis',
            'unpriced_reason',
            'sku_price_id',
            'catalogue_version',
        ] %}
        case
            when ratings.rating_sequence is null then tellings.{{ column }} else ratings.{{ column }}
        end as {{ column }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    ),
    tellings.list_cost as metered_list_cost,
    tellings.contracted_cost as metered_contracted_cost,
    coalesce(ratings.rating_sequence, 0) as rating_sequence

from tellings

left join ratings
    on tellings.topic = ratings.topic
        and tellings.kafka_partition = ratings.kafka_partition
        and tellings.kafka_offset = ratings.kafka_offset
        and tellings.record_item = ratings.record_item
{% endmacro %}
