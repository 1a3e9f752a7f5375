{#-
The total order of a topic's log: logged time, then partition, then offset. All code that determines which of two events is
later uses this order; event ids are not ordered. ingestion/state has the same order in app.log_position.
-#}
{% macro log_order(direction='', relation='') -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {%- for column in ['logged_at', 'kafka_partition', 'kafka_offset'] -%}
        {{ prefix }}{{ column }}{{ ' ' ~ direction if direction }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
