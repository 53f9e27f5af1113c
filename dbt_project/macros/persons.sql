{#- What tells a person apart: the beginning of a digest of the lake's salt and the identifier, 16 hexadecimal digits. -#}
{% macro pseudonym(principal_id) -%}
    left(sha256(plan_scope.person_salt || {{ principal_id }}), 16)
{%- endmacro %}


{% macro summed_person_measures() -%}
    cast(sum(calls) as bigint) as calls,
    cast(sum(unpriced_calls) as bigint) as unpriced_calls,
    cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
    cast(sum(total_tokens) as bigint) as total_tokens,
    cast(sum(list_cost) as decimal(38, 12)) as list_cost
{%- endmacro %}


{#- Usage of persons who were erased becomes usage of nobody that is known, as a full refresh makes it. -#}
{% macro erase_persons() %}
    {% if is_incremental() %}
        create or replace temporary table erased_person_days as
        select
            person_days.usage_date,
            person_days.billing_period_start,
            person_days.subscription_id,
            'unknown' as person,
            person_days.billing_currency,
            {{ summed_person_measures() }}
        from {{ this }} as person_days
        cross join {{ ref('stg_plan__scope') }} as plan_scope
        where person_days.person = 'unknown'
            or list_contains(plan_scope.erased_persons, person_days.person)
        group by all
        having bool_or(person_days.person <> 'unknown');

        delete from {{ this }} as person_days
        using erased_person_days, {{ ref('stg_plan__scope') }} as plan_scope
        where person_days.usage_date = erased_person_days.usage_date
            and person_days.billing_period_start = erased_person_days.billing_period_start
            and person_days.subscription_id = erased_person_days.subscription_id
            and person_days.billing_currency = erased_person_days.billing_currency
            and (
                person_days.person = 'unknown'
                or list_contains(plan_scope.erased_persons, person_days.person)
            );

        insert into {{ this }} by name
        select * from erased_person_days
    {% endif %}
{% endmacro %}


{#- An amount in hundredths of another one, of six decimals, rounded half away from zero: decimals divided are floats. -#}
{% macro per_hundred(amount, whole) -%}
    {{ ratio_of(amount, whole, 100) }}
{%- endmacro %}
