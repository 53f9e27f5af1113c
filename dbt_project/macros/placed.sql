{#- Days of usage under the cost centre and business unit of their day. What a rule of owners says stands; the hierarchy
    fills what it leaves open. Two steps of a model that has `places`; the second has the rows. -#}
{% macro placed(usage, placed, in_units) %}
{{ placed }} as (

    select
        {{ usage }}.*,
        case
            when {{ usage }}.cost_center = 'unallocated' then coalesce(places.parent_name, 'unallocated')
            else {{ usage }}.cost_center
        end as placed_cost_center

    from {{ usage }}

    left join places
        on places.unit = 'team'
            and {{ usage }}.team = places.unit_name
            and {{ usage }}.billing_date >= places.valid_from
            and {{ usage }}.billing_date < places.valid_to

),

{{ in_units }} as (

    select
        {{ placed }}.* exclude (cost_center, business_unit),
        {{ placed }}.placed_cost_center as cost_center,
        case
            when {{ placed }}.business_unit = 'unallocated' then coalesce(places.parent_name, 'unallocated')
            else {{ placed }}.business_unit
        end as business_unit

    from {{ placed }}

    left join places
        on places.unit = 'cost_center'
            and {{ placed }}.placed_cost_center = places.unit_name
            and {{ placed }}.billing_date >= places.valid_from
            and {{ placed }}.billing_date < places.valid_to

)
{% endmacro %}


{#- What tells lines of usage apart, in the order in which their identifier is made of it. -#}
{% macro usage_charge_grain() -%}
    {{ return([
        'billing_period_start',
        'business_unit',
        'cost_center',
        'team',
        'workflow',
        'provider',
        'model',
        'service_tier',
        'inference_path',
        'billing_account_id',
        'subscription_id',
        'contract_id',
        'sku_price_id',
        'cost_basis',
        'billing_currency',
    ]) }}
{%- endmacro %}


{% macro usage_charge_id() -%}
    left(sha256(cast(json_array('usage', {{ usage_charge_grain() | join(', ') }}) as varchar)), 32)
{%- endmacro %}
