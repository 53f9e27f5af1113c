{% macro delete_planned_dates(column) %}
    {% if is_incremental() %}
        delete from {{ this }}
        where {{ column }} in (select dates.event_date from {{ ref('stg_plan__dates') }} as dates)
    {% elif execute and not plan_is_full() %}
        {% do exceptions.raise_compiler_error(
            this.identifier ~ ' is new, but the plan names only some dates: run `tollbook warehouse build --full-refresh`'
        ) %}
    {% endif %}
{% endmacro %}


{% macro delete_planned_periods() %}
    {% if is_incremental() %}
        delete from {{ this }}
        where billing_period_start in (
            select billing_days.billing_period_start from {{ ref('stg_plan__billing_days') }} as billing_days
        )
    {% endif %}
{% endmacro %}


{% macro planned_dates_only(column) %}
    {%- if is_incremental() -%}
        where {{ column }} in (select planned_dates.event_date from planned_dates)
    {%- endif -%}
{% endmacro %}


{% macro planned_periods_only() %}
    {%- if is_incremental() -%}
        where billing_period_start in (select planned_days.billing_period_start from planned_days)
    {%- endif -%}
{% endmacro %}


{% macro delete_periods_to_place() %}
    {% if is_incremental() %}
        delete from {{ this }}
        where billing_period_start in (
            select billing_days.billing_period_start from {{ ref('stg_plan__billing_days') }} as billing_days
        )
        or places_version <> (select plan_scope.places_version from {{ ref('stg_plan__scope') }} as plan_scope)
    {% endif %}
{% endmacro %}


{#- A computed model names the periods that it computed anew, also those of which nothing is left. -#}
{% macro delete_computed_periods(model) %}
    {% if is_incremental() %}
        delete from {{ this }}
        where billing_period_start in (
            select computed.billing_period_start from {{ ref(model) }} as computed
        )
    {% endif %}
{% endmacro %}
