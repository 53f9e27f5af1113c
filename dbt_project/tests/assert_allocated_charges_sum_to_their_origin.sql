-- Every charge as a whole and its lines, cost by cost; what is not known is so in every line. A correction may move
-- what one team bears to another, and leave the whole as it was.
with origins as (

    select * from {{ ref('fct_charge_origins') }}

),

charges as (

    select
        origin_charge_id,
        bool_and(corrects_charge_id is not null) as are_corrections,
        sum(list_cost) as list_cost,
        sum(contracted_cost) as contracted_cost,
        sum(effective_cost) as effective_cost,
        sum(pricing_currency_contracted_cost) as pricing_currency_contracted_cost,
        sum(pricing_currency_effective_cost) as pricing_currency_effective_cost

    from {{ ref('fct_charges') }}

    where origin_charge_id is not null

    group by all

)

select
    origins.charge_id,
    charges.origin_charge_id

from origins

full outer join charges
    on origins.charge_id = charges.origin_charge_id

where not coalesce(charges.are_corrections, origins.corrects_charge_id is not null)
    and (
        origins.charge_id is null
        or charges.origin_charge_id is null
        or origins.list_cost is distinct from charges.list_cost
        or origins.contracted_cost is distinct from charges.contracted_cost
        or origins.effective_cost is distinct from charges.effective_cost
        or origins.pricing_currency_contracted_cost is distinct from charges.pricing_currency_contracted_cost
        or origins.pricing_currency_effective_cost is distinct from charges.pricing_currency_effective_cost
    )
    or coalesce(charges.are_corrections, origins.corrects_charge_id is not null)
    and (
        coalesce(origins.list_cost, 0) <> coalesce(charges.list_cost, 0)
        or coalesce(origins.contracted_cost, 0) <> coalesce(charges.contracted_cost, 0)
        or coalesce(origins.effective_cost, 0) <> coalesce(charges.effective_cost, 0)
        or coalesce(origins.pricing_currency_contracted_cost, 0)
        <> coalesce(charges.pricing_currency_contracted_cost, 0)
        or coalesce(origins.pricing_currency_effective_cost, 0)
        <> coalesce(charges.pricing_currency_effective_cost, 0)
    )
