-- An alert that is resolved and fires again has another started_at. A period whose start was never reported is included.
with event as (
    select
        fingerprint,
        coalesce(starts_at, occurred_at) as started_at,
        alert,
        status,
        severity,
        service,
        summary,
        runbook,
        case when status = 'resolved' then coalesce(ends_at, occurred_at) end as resolved_at,
        row_number() over (
            partition by fingerprint, coalesce(starts_at, occurred_at)
            order by status desc, occurred_at desc, {{ log_order('desc') }}
        ) as newest_first
    from {{ ref('stg_alert') }}
)

select
    fingerprint,
    started_at,
    alert,
    severity,
    service,
    summary,
    runbook,
    status as state,
    greatest(resolved_at, case when status = 'resolved' then started_at end) as resolved_at,
    extract(epoch from greatest(resolved_at, started_at) - started_at)::double precision
        * case when status = 'resolved' then 1 end as duration_s
from event
where newest_first = 1
