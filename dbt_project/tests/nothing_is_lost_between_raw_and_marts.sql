-- Each kind of event is counted where it came in (copies of an event once) and where it ended up.
with counted as (
    select
        'check-ins' as noun,
        (select count(distinct check_in_id) from {{ ref('stg_check_in') }}) as in_raw,
        (select count(*) from {{ ref('fct_check_in') }}) as in_marts
    union all
    select
        'key results',
        (select count(distinct key_result_id) from {{ ref('stg_key_result') }}),
        (select count(*) from {{ ref('mart_okr_scorecard') }} where is_current_cycle)
    union all
    select
        'key results of teams',
        (select count(*) from {{ ref('mart_okr_scorecard') }} where not is_archived),
        (select sum(key_result_count) from {{ ref('mart_team_scorecard') }})
    union all
    select
        'page views',
        (select count(*) from {{ ref('stg_page') }}),
        (select sum(page_view_count) from {{ ref('fct_user_activity_daily') }})
    union all
    select
        'host metric samples',
        (select count(*) from {{ ref('stg_host_metric') }}),
        (select sum(sample_count) from {{ ref('fct_system_health_hourly') }})
    union all
    select
        'forecasts',
        (select count(distinct prediction_id) from {{ ref('stg_prediction') }}),
        (select count(*) from {{ ref('fct_prediction') }})
    union all
    select
        'pipeline runs',
        (select count(distinct (pipeline, run_id)) from {{ ref('stg_pipeline_step') }}),
        (select count(*) from {{ ref('fct_pipeline_run') }})
)

select * from counted where in_raw <> coalesce(in_marts, 0)
