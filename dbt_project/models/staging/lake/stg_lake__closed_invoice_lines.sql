with source as (

    select * from {{ source('lake', 'closed_invoice_lines') }}

)

select *

from source
