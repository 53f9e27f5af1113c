with source as (

    select * from {{ source('lake', 'ratings') }}

)

select
    topic,
    "partition" as kafka_partition,
    "offset" as kafka_offset,
    coalesce(record_item, 0) as record_item,
    event_date,
    list_cost,
    contracted_cost,
    contract_id,
    cost_basis,
    unpriced_reason,
    sku_price_id,
    catalogue_version,
    rating_sequence

from source
