{% macro plan_file() -%}
    {{ env_var('TOLLBOOK_WAREHOUSE', 'tollbook-data/warehouse') }}/plan/plan.json
{%- endmacro %}


{% macro register_plan() %}
    {% if execute and flags.WHICH in ('build', 'run', 'test', 'show') %}
        {% set path = plan_file() | trim %}
        {% if run_query("select count(*) from glob('" ~ path ~ "')").columns[0][0] == 0 %}
            {% do exceptions.raise_compiler_error(
                'expected a plan at ' ~ path ~ ', found none: run `tollbook warehouse build` once'
            ) %}
        {% endif %}

        {% do run_query('create schema if not exists scratch.lake') %}
        {% do run_query('create schema if not exists scratch.plan') %}
        {% do run_query(plan_table('scope', "read_json('" ~ path ~ "')")) %}
        {% for name in ('dates', 'billing_days', 'files', 'cross_date_keys', 'places', 'closed_periods') %}
            {% set table = path | replace('plan.json', name ~ '.parquet') %}
            {% do run_query(plan_table(name, "read_parquet('" ~ table ~ "')")) %}
        {% endfor %}
        {% for role in ('usage', 'usage_elsewhere', 'ratings') %}
            {% do run_query(run_query(view_of_files(role)).columns[0][0]) %}
        {% endfor %}
        {% for role in ('closed_charges', 'closed_charge_origins', 'closed_invoice_lines', 'closed_lineage') %}
            {% do run_query(run_query(view_of_closed_files(role)).columns[0][0]) %}
        {% endfor %}

        {% if flags.FULL_REFRESH and not plan_is_full() %}
            {% do exceptions.raise_compiler_error(
                'a full refresh needs a plan of every date: run `tollbook warehouse build --full-refresh`'
            ) %}
        {% endif %}
    {% endif %}
{% endmacro %}


{% macro plan_is_full() %}
    {{ return(run_query('select is_full from scratch.plan.scope').columns[0][0]) }}
{% endmacro %}


{% macro plan_table(name, reader) %}
    create or replace table scratch.plan.{{ name }} as
    select * from {{ reader }}
{% endmacro %}


{#- A list of files must stand in the text of a view, because a view holds no variable and a table function takes no
    subquery. Files of one contract version share a reader, whose first file is an empty one with the contract's
    schema: columns and types are the contract's, never those of whichever file comes first. -#}
{% macro view_of_files(role) %}
    with readers as (

        select
            schema_version,
            string_agg('''' || replace(path, '''', '''''') || '''', ', ' order by commit_number, path) as paths
        from scratch.plan.files
        where role = '{{ role }}'
        group by schema_version

    )

    select
        'create or replace view scratch.lake.{{ role }} as '
        || string_agg(
            'select *, filename, file_row_number from read_parquet([' || paths
            || '], hive_partitioning = true, hive_types = {''event_date'': date})',
            ' union all by name '
            order by schema_version desc
        )
    from readers
{% endmacro %}


{#- Frozen rows have the columns of the version that closed their period; what is newer is null in them. -#}
{% macro view_of_closed_files(role) %}
    select
        'create or replace view scratch.lake.{{ role }} as '
        || coalesce(
            'select * from read_parquet([' || string_agg('''' || replace(path, '''', '''''') || '''', ', ' order by path)
            || '], union_by_name = true)',
            'select cast(null as date) as billing_period_start where false'
        )
    from scratch.plan.files
    where role = '{{ role }}'
{% endmacro %}
