{#-
Deduplicate events by event_id: of an event that its source sent more than once, the copy logged first counts (by the log's
time, because a later copy may be in a lower partition once a topic has more of them). It is the last step of a staging
view, so that only the columns that a reader selects are sorted, not the whole JSON. Withheld events are excluded here and
therefore everywhere.
-#}
{% macro deduplicate_events(events) -%}
    select distinct on (event_id) *
    from {{ events }}
    where event_id not in (select withheld.event_id from {{ ref('int_withheld_event') }} as withheld)
    order by event_id, {{ log_order() }}
{%- endmacro %}
