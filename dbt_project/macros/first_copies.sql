{#-
Each event once: one that its source sent twice (same event_id) counts where it first stands. Last in a staging view, so
that only the columns a reader asks for are sorted, not the whole JSON.
-#}
{% macro first_copies(events) -%}
    select distinct on (event_id) * from {{ events }} order by event_id, kafka_partition, kafka_offset
{%- endmacro %}
