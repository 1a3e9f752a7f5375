{#-
Each event once: one that its source sent twice (same event_id) counts where it first stands, by the log's time: once a
topic has more partitions, a later copy may stand in a lower one. Last in a staging view, so that only the columns a
reader asks for are sorted, not the whole JSON. Withheld events are left out here, and so everywhere.
-#}
{% macro deduplicate_events(events) -%}
    select distinct on (event_id) *
    from {{ events }}
    where event_id not in (select withheld.event_id from {{ ref('int_withheld_event') }} as withheld)
    order by event_id, {{ log_order() }}
{%- endmacro %}
