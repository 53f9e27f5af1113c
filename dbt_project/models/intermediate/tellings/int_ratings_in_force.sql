{{ config(materialized='table', database='scratch') }}

with ratings as (

    select * from {{ ref('stg_lake__ratings') }}

)

select *

from ratings

qualify row_number() over (
    partition by topic, kafka_partition, kafka_offset, record_item
    order by rating_sequence desc
) = 1
