{#- Write, audit, publish: what is read by people is built beside, and swapped in by lakehouse.publication. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set schema = (custom_schema_name or target.schema) | trim -%}
    {%- if target.name == 'build' and schema in ['marts', 'ml'] -%}{{ schema }}_build{%- else -%}{{ schema }}{%- endif -%}
{%- endmacro %}
