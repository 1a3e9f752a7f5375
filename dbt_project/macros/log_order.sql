{#-
The total order of a topic's log: by log-append time, then partition, then offset. All code that determines which of two
events is later must use this order; event ids have no order. app.log_position, which ingestion/state uses, defines the
same order.
-#}
{% macro log_order(direction='', relation='') -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {%- for column in ['logged_at', 'kafka_partition', 'kafka_offset'] -%}
        {{ prefix }}{{ column }}{{ ' ' ~ direction if direction }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
