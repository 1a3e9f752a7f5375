{#-
Deduplicate events by event_id: if a source sent an event more than once, keep the copy that was logged first. Copies
are ordered by log-append time first, because a later copy can be in a lower partition if partitions were added to the
topic. This must be the last step of a staging view, so that only the selected columns are sorted and not the entire
JSON.
Withheld events are excluded here and therefore in all models. app.event has its own deduplication with the same order
(ingestion/state/insert_events.sql).
-#}
{% macro deduplicate_events(events) -%}
    select distinct on (event_id) *
    from {{ events }}
    where event_id not in (select withheld.event_id from {{ ref('int_withheld_event') }} as withheld)
    order by event_id, {{ log_order() }}
{%- endmacro %}
