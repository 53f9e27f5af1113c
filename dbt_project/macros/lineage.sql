{#- Billing periods whose lineage is made anew: those that the planned dates touch, and those whose lines are no longer
    what their calls sum to, as after the hierarchy changed or a period was closed. A correction is about the period that
    it corrects. The others keep their rows of calls, of which there are many; rows of other kinds are few, and made
    anew by every build. -#}
{% macro delete_lineage_to_remake() %}
    {% if is_incremental() %}
        create or replace temporary table lineage_to_remake as

        with charged as (

            select
                coalesce(corrects_period_start, billing_period_start) as about_period_start,
                charge_id,
                pricing_currency,
                {{ lineage_tie() }}

            from {{ ref('fct_charges') }}

            where charge_kind = 'usage'

            group by all

        ),

        traced as (

            select
                coalesce(corrects_period_start, billing_period_start) as about_period_start,
                charge_id,
                pricing_currency,
                {{ lineage_tie() }}

            from {{ this }}

            where lineage_kind = 'calls'

            group by all

        )

        select distinct billing_period_start as about_period_start from {{ ref('stg_plan__billing_days') }}

        union

        select distinct about_period_start

        from (

            select * from (from charged except from traced)

            union all

            select * from (from traced except from charged)

        ) as untied;

        delete from {{ this }}
        where lineage_kind <> 'calls'
            or coalesce(corrects_period_start, billing_period_start) in (
                select lineage_to_remake.about_period_start from lineage_to_remake
            )
    {% endif %}
{% endmacro %}


{% macro lineage_tie() -%}
    {%- for measure in charge_quantities() + ['list_cost', 'contracted_cost', 'effective_cost'] %}
    coalesce(sum({{ measure }}), 0) as {{ measure }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{% macro lineage_to_remake_only(period='billing_period_start') -%}
    {%- if is_incremental() -%}
        where {{ period }} in (select lineage_to_remake.about_period_start from lineage_to_remake)
    {%- endif -%}
{%- endmacro %}
