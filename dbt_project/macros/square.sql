{#- The square of a number. Tiny numbers count as 0, because PostgreSQL reports an error if their square underflows. -#}
{% macro square(number) -%}
    (case when abs({{ number }}) < 1e-100 then 0.0 else ({{ number }}) ^ 2 end)
{%- endmacro %}
