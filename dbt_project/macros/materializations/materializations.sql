{#- Views, tables and incremental models in as few statements as DuckDB needs. Its catalog changes within transactions, so
    a relation is replaced in place, and who reads it meanwhile keeps the one before. dbt-duckdb's own materializations
    make each beside the one before, rename both and drop one, and insert by way of a temporary table: most of what a
    small build spends is dbt's own work for each statement. Grants and indexes have no place in files that builds alone
    open, and descriptions are written when the marts are published. -#}
{% materialization view, adapter='duckdb' %}
    {%- set target_relation = this.incorporate(type='view') -%}

    {{ drop_other_kind(target_relation) }}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% call statement('main', auto_begin=False) -%}
        create or replace view {{ target_relation }} as (
            {{ sql }}
        )
    {%- endcall %}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{% materialization table, adapter='duckdb', supported_languages=['sql', 'python'] %}
    {%- set target_relation = this.incorporate(type='table') -%}

    {{ drop_other_kind(target_relation) }}
    {%- if model['language'] == 'python' -%}
        {% call statement('main', language='python') -%}
            {{- replace_table_in_python(target_relation, compiled_code) }}
        {%- endcall %}
    {%- else -%}
        {{ run_hooks(pre_hooks, inside_transaction=True) }}
        {{ drop_table(target_relation) }}
        {% call statement('main') -%}
            {{ create_table_as(False, target_relation, compiled_code) }}
        {%- endcall %}
        {{ adapter.commit() }}
    {%- endif -%}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- What stays of the table is for the model's hook to delete; the rest is inserted in the same transaction. -#}
{% materialization incremental, adapter='duckdb', supported_languages=['sql'] %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- if config.get('incremental_strategy') != 'append' -%}
        {% do exceptions.raise_compiler_error(
            this.identifier ~ ": expected the incremental strategy 'append', found '"
            ~ config.get('incremental_strategy') ~ "'"
        ) %}
    {%- endif -%}

    {{ drop_other_kind(target_relation) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- if is_incremental() -%}
        {{ refuse_other_columns(target_relation, compiled_code) }}
        {% call statement('main') -%}
            insert into {{ target_relation }} by name (
                {{ compiled_code }}
            )
        {%- endcall %}
    {%- else -%}
        {{ drop_table(target_relation) }}
        {% call statement('main') -%}
            {{ create_table_as(False, target_relation, compiled_code) }}
        {%- endcall %}
    {%- endif -%}
    {{ adapter.commit() }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{% macro drop_table(relation) %}
    {% call statement('drop') -%}
        drop table if exists {{ relation }}
    {%- endcall %}
{% endmacro %}


{#- A Python model runs outside of the transaction of its node, so one statement takes the place of the table. -#}
{% macro replace_table_in_python(relation, code) -%}
{{ code }}


def materialize(made, connection):
    import pyarrow.dataset

    connection.register('made_by_the_model', made)
    connection.execute('create or replace table {{ relation }} as select * from made_by_the_model')
    connection.unregister('made_by_the_model')
{% endmacro %}


{% macro drop_other_kind(relation) %}
    {%- set existing = load_cached_relation(relation) -%}
    {%- if existing is not none and existing.type != relation.type -%}
        {% do adapter.drop_relation(existing) %}
    {%- endif -%}
{% endmacro %}


{% macro refuse_other_columns(relation, query) %}
    {%- set compared -%}
        with made as (select column_name, column_type from (describe {{ query }})),

        held as (select column_name, column_type from (describe {{ relation }}))

        select
            string_agg('made ' || made.column_name || ' ' || made.column_type, ', ')
                filter (where held.column_name is null) as made_only,
            string_agg('held ' || held.column_name || ' ' || held.column_type, ', ')
                filter (where made.column_name is null) as held_only
        from made
        full join held
            on made.column_name = held.column_name and made.column_type = held.column_type
    {%- endset -%}
    {%- set differences = run_query(compared).rows[0].values() | reject('none') | list -%}
    {%- if differences -%}
        {% do exceptions.raise_compiler_error(
            'expected ' ~ relation ~ ' to keep its columns, found others (' ~ differences | join(', ')
            ~ '): run `tollbook warehouse build --full-refresh`'
        ) %}
    {%- endif -%}
{% endmacro %}
