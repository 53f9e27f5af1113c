with source as (

    select * from {{ source('lake', 'closed_invoice_lines') }}

)

-- The columns are those of the version that closed the period.
select * -- noqa: AM04

from source
