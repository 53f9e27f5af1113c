{#- What stands of rows when periods are closed: closed ones as they were frozen, open ones as all that is known now
    makes them, and in the first open period a correction for each row of a closed period that would be made
    differently now. So the frozen rows and the corrections sum to what a restatement would give, and a restatement
    without a change makes no correction.

    A row is known by `key`, whose first column names it among others, and is of the period that `period` names. What is unknown counts as nothing in a difference; `unpriced_calls` tells of it. -#}
{% macro settled(restated, closed, key, measures, correction, period='billing_period_start') %}
    {%- set id = key[0] %}

open_periods as (

    select
        coalesce(open_period_start, date '0001-01-01') as open_period_start,
        cast(open_period_start + interval 1 month as date) as open_period_end

    from {{ ref('stg_plan__scope') }}

),

standing as (

    select {{ restated }}.*

    from {{ restated }}

    cross join open_periods

    where {{ restated }}.{{ period }} >= open_periods.open_period_start

),

-- What would be said of closed periods now.
said_now as (

    select {{ restated }}.*

    from {{ restated }}

    cross join open_periods

    where {{ restated }}.{{ period }} < open_periods.open_period_start

),

-- What was said of them when they were closed, and corrected in those closed after them.
said_then as (

    select
        {{ corrected_key(key) }},
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}

    from {{ closed }}

    group by all

),

differences as (

    select
        {%- for name in key %}
        coalesce(said_now.{{ name }}, said_then.{{ name }}) as {{ name }},
        {%- endfor %}
        {%- for measure in measures %}
        {{ difference_of(measure) }} as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}

    from said_now

    full outer join said_then
        on
        {%- for name in key %}
        {{ 'and ' if not loop.first }}said_now.{{ name }} = said_then.{{ name }}
        {%- endfor %}

),

changed as (

    select * from differences

    where
        {%- for measure in measures %}
        {{ 'or ' if not loop.first }}{{ measure }} <> 0
        {%- endfor %}

),

-- What a corrected row is about, as it is said now; of one that is no longer there, as it was said first.
said as (

    select * from said_now

    union all by name

    select
        {{ closed }}.* replace (
            {%- for name in key %}
            {{ corrected_name(name, id) }} as {{ name }},
            {%- endfor %}
            case
                when {{ closed }}.corrects_{{ id }} is null then {{ closed }}.{{ period }}
                else {{ closed }}.corrects_period_start
            end as {{ period }}
        )

    from {{ closed }}

    anti join said_now
        on
        {%- for name in key %}
        {{ 'and ' if not loop.first }}{{ corrected_name(name, id, closed ~ '.') }} = said_now.{{ name }}
        {%- endfor %}

    qualify row_number() over (
        partition by {% for name in key %}{{ corrected_name(name, id, closed ~ '.') }}{{ ', ' if not loop.last }}{% endfor %}
        order by {{ closed }}.{{ period }}
    ) = 1

),

corrections as (

    select
        said.* replace (
            open_periods.open_period_start as {{ period }},
            {%- for name, value in correction.items() %}
            {{ value }} as {{ name }},
            {%- endfor %}
            {%- for measure in measures %}
            changed.{{ measure }} as {{ measure }},
            {%- endfor %}
            said.{{ period }} as corrects_period_start,
            said.{{ id }} as corrects_{{ id }}
        )

    from changed

    inner join said
        on
        {%- for name in key %}
        {{ 'and ' if not loop.first }}changed.{{ name }} = said.{{ name }}
        {%- endfor %}

    cross join open_periods

),

settled as (

    select * from standing

    union all by name

    select * from {{ closed }}

    union all by name

    select * from corrections

)
{% endmacro %}


{#- Name of the row that a row is about: of a correction the corrected one's. -#}
{% macro corrected_name(name, id, of='') -%}
    {%- if name == id -%}
        coalesce({{ of }}corrects_{{ id }}, {{ of }}{{ id }})
    {%- else -%}
        {{ of }}{{ name }}
    {%- endif -%}
{%- endmacro %}


{% macro corrected_key(key) -%}
    {%- for name in key %}
        {{ corrected_name(name, key[0]) }} as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{% macro difference_of(measure) -%}
    {%- set whole = measure in ('calls', 'unpriced_calls') or measure.endswith('_tokens') -%}
    cast(
            case
                when said_now.{{ measure }} is not null or said_then.{{ measure }} is not null
                    then coalesce(said_now.{{ measure }}, 0) - coalesce(said_then.{{ measure }}, 0)
            end as {{ 'bigint' if whole else 'decimal(38, 12)' }}
        )
{%- endmacro %}


{#- Name of the correction of a row in the open period. -#}
{% macro correction_id(charge_id) -%}
    left(sha256(cast(json_array(
            'correction', open_periods.open_period_start, {{ charge_id }}, said.pricing_currency
        ) as varchar)), 32)
{%- endmacro %}


{% macro correction_text() -%}
    case
        when said.charge_description like 'Correction of %' then said.charge_description
        else 'Correction of ' || strftime(said.billing_period_start, '%Y-%m') || ': ' || said.charge_description
    end
{%- endmacro %}


{% macro charge_quantities() -%}
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
        'accelerator_seconds',
    ]) }}
{%- endmacro %}
