{#- The UTC day of a timestamp, regardless of the session's time zone. -#}
{% macro utc_date(moment) -%} ({{ moment }} at time zone 'UTC')::date {%- endmacro %}
