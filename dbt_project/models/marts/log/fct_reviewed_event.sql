select
    event_id,
    rule,
    reason,
    event_type,
    subject,
    occurred_at,
    logged_at,
    kafka_partition,
    kafka_offset,
    decision,
    note,
    decided_by,
    decided_at,
    is_withheld
from {{ ref('int_reviewed_event') }}
