{#- A table that was just made has no statistics, and the models that read it next would be planned blindly. -#}
{% macro analyze() -%}
    {%- if config.get('materialized') == 'table' -%} analyze {{ this }} {%- else -%} select 1 {%- endif -%}
{%- endmacro %}
