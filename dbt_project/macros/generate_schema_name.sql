{#- Write, audit, publish: published schemas are built as marts_build and ml_build, and lakehouse.publication publishes them. The target `published` uses the schema names that readers see, for dbt docs. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set schema = (custom_schema_name or target.schema) | trim -%}
    {%- if target.name == 'build' and schema in ['marts', 'ml'] -%}{{ schema }}_build{%- else -%}{{ schema }}{%- endif -%}
{%- endmacro %}
