{#- Days from one timestamp to another, with fractions. -#}
{% macro days_between(earlier, later) -%}
    (extract(epoch from {{ later }} - {{ earlier }})::double precision / 86400.0)
{%- endmacro %}
