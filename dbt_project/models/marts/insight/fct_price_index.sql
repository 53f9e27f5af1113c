{{ config(materialized='table') }}

with price_index as (

    select * from {{ ref('int_price_index_computed') }}

)

select
    billing_period_start,
    billing_period_end,
    basket,
    index_kind,
    base_period_start,
    billing_currency,
    index_value,
    price_per_million_tokens,
    basket_tokens,
    priced_tokens,
    unpriced_models,
    catalogue_version

from price_index
