-- Of every comparison: what the other side tells less what events tell is the sum of its residuals, each with a name.
with reconciliation as (

    select * from {{ ref('fct_reconciliation') }}

),

compared as (

    select
        comparison,
        vendor,
        billing_period_start,
        usage_date,
        model,
        project_id,
        coalesce(sum(vendor_calls - our_calls - residual_calls), 0) as calls_left,
        coalesce(sum(vendor_tokens - our_tokens - residual_tokens), 0) as tokens_left,
        coalesce(
            sum(case when comparison = 'invoice' then invoice_cost else vendor_cost end - our_cost - residual_cost), 0
        ) as cost_left,
        count(*) filter (where residual_kind = 'matched' and coalesce(residual_cost, 0) <> 0) as unnamed

    from reconciliation

    group by all

)

select *

from compared

where calls_left <> 0 or tokens_left <> 0 or cost_left <> 0 or unnamed <> 0
