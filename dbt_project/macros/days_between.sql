{#- Number of days from one timestamp to another, including fractions. -#}
{% macro days_between(earlier, later) -%}
    (extract(epoch from {{ later }} - {{ earlier }})::double precision / 86400.0)
{%- endmacro %}
