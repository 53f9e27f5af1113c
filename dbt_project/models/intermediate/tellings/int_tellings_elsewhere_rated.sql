{{ config(materialized='view', database='scratch') }}

{{ rate_tellings(ref('stg_lake__usage_elsewhere')) }}
