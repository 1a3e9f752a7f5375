{{ config(indexes=[{'columns': ['key_result_id', 'served_at']}]) }}

with served as (
    select distinct on (prediction_id) *
    from {{ ref('stg_prediction') }}
    order by prediction_id, logged_at, kafka_offset, event_id
),

-- A forecast is judged only where it was made of a moment before the outcome.
judged as (
    select
        served.*,
        key_result.team_id,
        key_result.cycle_id,
        key_result.key_result_id is not null as is_key_result_known,
        coalesce(key_result.is_closed, false) as is_closed,
        key_result.final_at,
        key_result.final_score,
        key_result.is_achieved,
        coalesce(served.as_of < key_result.final_at, false) as is_judged
    from served
    left join {{ ref('int_key_result') }} as key_result using (key_result_id)
)

select
    prediction_id,
    key_result_id,
    team_id,
    cycle_id,
    as_of,
    occurred_at as served_at,
    recorded_at,
    probability,
    low,
    high,
    model_name,
    model_version,
    role,
    publication_id,
    reasons,
    is_key_result_known,
    is_closed,
    final_at,
    final_score,
    is_achieved,
    is_judged,
    case when is_judged then power(probability - is_achieved::integer, 2) end as brier_score,
    case when is_judged then final_score >= low - 1e-9 and final_score <= high + 1e-9 end as is_in_interval
from judged
