{{ config(indexes=[{'columns': ['key_result_id', 'served_at']}]) }}

with served as (
    select distinct on (prediction_id) *
    from {{ ref('stg_prediction') }}
    order by prediction_id, {{ log_order() }}
),

placed as (
    select
        served.*,
        counted.team_id,
        counted.key_result_id is not null as is_key_result_known,
        coalesce(served.cycle_id, counted.counted_cycle_id) as forecast_cycle_id
    from served
    left join {{ ref('int_key_result_counted_cycle') }} as counted
        on served.key_result_id = counted.key_result_id
        and coalesce(served.as_of, served.occurred_at) >= counted.from_at
        and coalesce(served.as_of, served.occurred_at) < counted.to_at
),

-- A forecast is scored only if the outcome was unknown both when it was served and when its model was trained.
scored as (
    select
        placed.*,
        coalesce(key_result.is_closed, false) as is_closed,
        key_result.final_at,
        key_result.final_recorded_at as outcome_known_at,
        key_result.final_score,
        key_result.is_achieved,
        coalesce(placed.occurred_at < key_result.final_recorded_at, false)
        and coalesce(placed.trained_until < key_result.final_recorded_at, true) as is_scored
    from placed
    left join {{ ref('int_key_result_cycle') }} as key_result
        on placed.key_result_id = key_result.key_result_id
        and placed.forecast_cycle_id is not distinct from key_result.cycle_id
)

select
    prediction_id,
    key_result_id,
    scored.team_id,
    team.organisation_id,
    forecast_cycle_id as cycle_id,
    as_of,
    occurred_at as served_at,
    recorded_at,
    probability,
    low,
    high,
    model_name,
    model_version,
    role,
    trained_until,
    experiment,
    arm,
    publication_id,
    reasons,
    is_key_result_known,
    is_closed,
    final_at,
    outcome_known_at,
    final_score,
    is_achieved,
    is_scored,
    case when is_scored then power(probability - is_achieved::integer, 2) end as brier_score,
    case when is_scored then {{ at_least('final_score', 'low') }} and {{ at_least('high', 'final_score') }} end as is_in_interval
from scored
left join {{ ref('int_team') }} as team on scored.team_id = team.team_id
