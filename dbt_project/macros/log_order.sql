{#-
The one total order of a topic's log: logged time, then partition, then offset. Whatever asks which of two events came
later asks this; an event's id says nothing about it. ingestion/state has the same order as app.log_position.
-#}
{% macro log_order(direction='', relation='') -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {%- for column in ['logged_at', 'kafka_partition', 'kafka_offset'] -%}
        {{ prefix }}{{ column }}{{ ' ' ~ direction if direction }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
