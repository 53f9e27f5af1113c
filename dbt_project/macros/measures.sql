{% macro measure_names() -%}
    {{ return([
        'calls',
        'unpriced_calls',
        'unpriced_tokens',
        'input_tokens',
        'uncached_input_tokens',
        'cache_read_tokens',
        'cache_write_tokens',
        'output_tokens',
        'reasoning_tokens',
        'total_tokens',
        'list_cost',
        'contracted_cost',
        'effective_cost',
        'billed_cost',
    ]) }}
{%- endmacro %}


{% macro summed_measures() -%}
    {%- for name in measure_names() %}
        {%- if name.endswith('_cost') %}
        cast(sum({{ name }}) as decimal(38, 12)) as {{ name }}
        {%- else %}
        cast(sum({{ name }}) as bigint) as {{ name }}
        {%- endif %}
        {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{% macro known_sum(first, second) -%}
    coalesce({{ first }} + {{ second }}, {{ first }}, {{ second }})
{%- endmacro %}


{#- The disjoint token buckets of an event: those of `schemas/units.yml` that an event has a field for. -#}
{% macro token_units() -%}
    {{ return([
        'uncached_input_tokens',
        'cache_read_tokens',
        'cache_read_audio_tokens',
        'cache_write_5m_tokens',
        'cache_write_1h_tokens',
        'audio_input_tokens',
        'image_input_tokens',
        'video_input_tokens',
        'text_output_tokens',
        'reasoning_tokens',
        'audio_output_tokens',
        'image_output_tokens',
    ]) }}
{%- endmacro %}


{% macro summed_token_units() -%}
    {%- for unit in token_units() %}
        sum(struct_extract(token_units, '{{ unit }}')) as {{ unit }}
        {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{% macro is_token_unit(column) -%}
    {{ column }} in (
        {%- for unit in token_units() %}
        '{{ unit }}'
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    )
{%- endmacro %}


{#- What a reporter leaves out and what it reports as zero are the same content. -#}
{% macro counted_buckets(relation) -%}
    {%- for bucket in token_units() -%}
        coalesce({{ relation }}.{{ bucket }}, 0){{ ', ' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#- Division of decimals is of floats in DuckDB, so it is done in whole pico-units, rounded half away from zero. -#}
{% macro per_one(amount, count) -%}
    {%- set pico = 'cast(' ~ amount ~ ' * 1000000000000 as hugeint)' -%}
    {%- set quotient = '(2 * abs(' ~ pico ~ ') + ' ~ count ~ ') // (2 * ' ~ count ~ ')' -%}
    cast(case
        when {{ count }} > 0 then sign({{ amount }}) * (
            cast({{ quotient }} // 1000000000000 as decimal(38, 12))
            + cast({{ quotient }} % 1000000000000 as decimal(26, 12)) * 0.000000000001
        )
    end as decimal(38, 12))
{%- endmacro %}


{#- So many times an amount over another, of six decimals, rounded half away from zero in whole numbers; null unless the
    other is above zero. Of millionths of a millionth everything is very many times as much, so it is wide. -#}
{% macro ratio_of(amount, whole, times) -%}
    {%- set part = 'cast(' ~ amount ~ ' * 1000000000000 as hugeint)' -%}
    {%- set base = 'cast(' ~ whole ~ ' * 1000000000000 as hugeint)' -%}
    {%- set doubled = times * 2000000 -%}
    cast(case
        when {{ whole }} > 0 then sign({{ amount }})
            * cast(({{ doubled }} * abs({{ part }}) + {{ base }}) // (2 * {{ base }}) as decimal(38, 0)) * 0.000001
    end as decimal(38, 6))
{%- endmacro %}
