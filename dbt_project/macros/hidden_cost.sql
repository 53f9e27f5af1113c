{#- What a call was for, and by which rule that is known: the first that holds. -#}
{% macro hidden_cost_rules() -%}
    {{ return([
        ('retry', 'is_retry', 'repeats_an_attempt'),
        ('aborted', "status in ('error', 'cancelled', 'timeout')", 'did_not_end_well'),
        ('retrieval', "purpose = 'retrieval'", 'purpose_told'),
        ('embedding', "purpose = 'embedding'", 'purpose_told'),
        ('context', "purpose = 'context'", 'purpose_told'),
        ('guardrail', "purpose = 'guardrail'", 'purpose_told'),
        ('evaluation', "purpose = 'evaluation'", 'purpose_told'),
        ('other', "purpose = 'other'", 'purpose_told'),
        ('generation', "purpose = 'generation'", 'purpose_told'),
        ('embedding', "operation_name = 'embeddings'", 'operation_told'),
        ('retrieval', "operation_name = 'rerank'", 'operation_told'),
    ]) }}
{%- endmacro %}


{% macro call_purpose() -%}
    case
        {%- for purpose, condition, rule in hidden_cost_rules() %}
        when {{ condition }} then '{{ purpose }}'
        {%- endfor %}
        else 'generation'
    end
{%- endmacro %}


{% macro call_rule() -%}
    case
        {%- for purpose, condition, rule in hidden_cost_rules() %}
        when {{ condition }} then '{{ rule }}'
        {%- endfor %}
        else 'nothing_told'
    end
{%- endmacro %}
