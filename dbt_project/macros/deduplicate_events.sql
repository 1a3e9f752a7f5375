{#-
Deduplicate events by event_id: if a source sent an event more than once, the copy that was logged first counts. Copies are
compared by log time, because a later copy may be in a lower partition after partitions were added to a topic. This is the
last step of a staging view, so that only the columns that a reader selects are sorted, not the whole JSON. Withheld events
are excluded here and therefore everywhere.
-#}
{% macro deduplicate_events(events) -%}
    select distinct on (event_id) *
    from {{ events }}
    where event_id not in (select withheld.event_id from {{ ref('int_withheld_event') }} as withheld)
    order by event_id, {{ log_order() }}
{%- endmacro %}
