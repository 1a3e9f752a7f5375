{#- The day of a moment, in UTC whatever the session's time zone is. -#}
{% macro utc_date(moment) -%} ({{ moment }} at time zone 'UTC')::date {%- endmacro %}
