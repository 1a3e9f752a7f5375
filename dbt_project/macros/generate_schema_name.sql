{#- Write, audit, publish: what people read is built beside, and published by lakehouse.publication. The names of target `published` are those that readers know, for dbt docs. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set schema = (custom_schema_name or target.schema) | trim -%}
    {%- if target.name == 'build' and schema in ['marts', 'ml'] -%}{{ schema }}_build{%- else -%}{{ schema }}{%- endif -%}
{%- endmacro %}
