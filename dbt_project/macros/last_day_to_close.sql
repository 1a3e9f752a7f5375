{#- The last day on which a closing check-in closes a carried-over key result in the cycle that it has left (ADR 19). -#}
{% macro last_day_to_close(cycle_end, next_cycle_start, next_cycle_end) -%}
    {{ cycle_end }} + least({{ var('days_to_close') }}, ({{ next_cycle_end }} - {{ next_cycle_start }} + 1) / 2)
{%- endmacro %}
