{{ config(materialized='table', database='scratch') }}

with ratings as (

    select * from {{ ref('stg_lake__ratings') }}

),

ratings_ranked as (

    select
        *,
        row_number() over (
            partition by topic, kafka_partition, kafka_offset, record_item
            order by rating_sequence desc
        ) as place_rank

    from ratings

)

select
    topic,
    kafka_partition,
    kafka_offset,
    record_item,
    event_date,
    list_cost,
    contracted_cost,
    contract_id,
    cost_basis,
    unpriced_reason,
    sku_price_id,
    catalogue_version,
    rating_sequence

from ratings_ranked

where place_rank = 1
