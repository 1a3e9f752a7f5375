{#-
Write, audit, publish: marts and ml are built as marts_build and ml_build, which lakehouse.publishing.publication then publishes.
The target `published`, which is only for dbt docs and for the temporary database of the forecast benchmark, uses the
schema names that readers see.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set schema = (custom_schema_name or target.schema) | trim -%}
    {%- if target.name == 'build' and schema in ['marts', 'ml'] -%}{{ schema }}_build{%- else -%}{{ schema }}{%- endif -%}
{%- endmacro %}
