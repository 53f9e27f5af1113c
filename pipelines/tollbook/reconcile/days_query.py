"""The query that sets events and vendors' reports side by side, by day, and by model and project where both tell them.

It reads `vendor_rows`, `hours`, and three small tables: `providers` (names of a vendor in events), `models` (the name
under which a model is compared) and `windows` (hours that a vendor's buckets do not cover).
"""

from __future__ import annotations

from typing import Final

COMPARED: Final = """
    with theirs as (

        select
            vendor_rows.*,
            cast(bucket_start as date) as usage_date

        from vendor_rows

        where coalesce(charge_category, 'Usage') <> 'Tax'
            and cast(bucket_start as date) = cast(bucket_end - interval 1 microsecond as date)

    ),

    told as (

        select
            vendor,
            usage_date,
            kind,
            bool_or(model is not null) as has_model,
            bool_or(project_id is not null) as has_project,
            bool_or(not is_empty_bucket) as has_rows,
            bool_or(total_tokens is not null) as has_tokens,
            bool_or(requests is not null) as has_requests,
            bool_and(kind = 'usage' or usd_amount is not null) as has_amounts

        from theirs

        group by all

    ),

    ours as (

        select
            providers.vendor,
            hours.*,
            usage_windows.window_state as usage_state,
            cost_windows.window_state as cost_state

        from hours

        inner join providers on hours.provider = providers.provider

        left join windows as usage_windows
            on providers.vendor = usage_windows.vendor and usage_windows.kind = 'usage'
                and hours.usage_date = usage_windows.usage_date and hours.usage_hour = usage_windows.usage_hour

        left join windows as cost_windows
            on providers.vendor = cost_windows.vendor and cost_windows.kind = 'cost'
                and hours.usage_date = cost_windows.usage_date and hours.usage_hour = cost_windows.usage_hour

    ),

    ours_project as (

        select vendor, usage_date, bool_or(project_id is not null) as has_project from ours group by all

    ),

    days as (

        select
            told.vendor,
            told.usage_date,
            bool_or(told.has_model) and bool_and(told.has_model or not told.has_rows) as by_model,
            bool_or(told.has_project) and bool_and(told.has_project or not told.has_rows)
            and coalesce(bool_or(ours_project.has_project), true) as by_project,
            bool_or(told.has_tokens) as has_tokens,
            bool_or(told.has_requests) as has_requests,
            bool_or(told.kind = 'cost' and told.has_amounts) as has_cost

        from told

        left join ours_project on told.vendor = ours_project.vendor and told.usage_date = ours_project.usage_date

        group by all

    ),

    both_sides as (

        select
            vendor, usage_date, model, project_id,
            calls, unpriced_calls, unpriced_tokens, total_tokens as tokens, contracted_cost as cost,
            case when usage_state = 'outside' then calls end as calls_outside,
            case when usage_state = 'outside' then total_tokens end as tokens_outside,
            case when cost_state = 'outside' then contracted_cost end as cost_outside,
            case when usage_state = 'edge' then calls end as calls_edge,
            case when usage_state = 'edge' then total_tokens end as tokens_edge,
            case when cost_state = 'edge' then contracted_cost end as cost_edge,
            case when usage_hour = 0 then calls end as calls_first,
            case when usage_hour = 0 then total_tokens end as tokens_first,
            case when usage_hour = 0 then contracted_cost end as cost_first,
            case when usage_hour = 23 then calls end as calls_last,
            case when usage_hour = 23 then total_tokens end as tokens_last,
            case when usage_hour = 23 then contracted_cost end as cost_last

        from ours

        union all by name

        select
            vendor, usage_date, model, project_id,
            requests as their_calls, total_tokens as their_tokens, usd_amount as their_cost,
            case when charge_category = 'Credit' then usd_amount end as credits,
            usd_step as steps,
            is_empty_bucket

        from theirs

    )

    select
        days.vendor,
        days.usage_date,
        days.has_tokens,
        days.has_requests,
        days.has_cost,
        case when days.by_model then coalesce(models.compared, both_sides.model, 'unknown') end as model,
        case when days.by_project then coalesce(both_sides.project_id, 'unknown') end as project_id,
        {sums}

    from days

    inner join both_sides on days.vendor = both_sides.vendor and days.usage_date = both_sides.usage_date
        and not (coalesce(both_sides.is_empty_bucket, false) and (days.by_model or days.by_project))

    left join models on both_sides.vendor = models.vendor and both_sides.model = models.model

    group by all

    order by all
"""
