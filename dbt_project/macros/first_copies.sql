{#-
Good events of one type, each once: an event sent twice by its source (same event_id) counts where it first stands.
-#}
{% macro first_copies(topic, event_type) -%}
    select distinct on (event_id) *
    from {{ topic }}
    where event_type = '{{ event_type }}'
    order by event_id, kafka_partition, kafka_offset
{%- endmacro %}
