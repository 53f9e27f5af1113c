{#- Whatever of a pair is in the mart is of another state of its bills than what was computed. -#}
{% macro delete_remade_pairs() %}
    {% if is_incremental() %}
        delete from {{ this }}
        where (from_period_start, to_period_start) in (
            select (remade.from_period_start, remade.to_period_start)
            from {{ ref('int_price_volume_mix_computed') }} as remade
        )
    {% endif %}
{% endmacro %}
