-- Every key result in a cycle that has begun has a row a day, from its first day to the last one that the data holds.
with expected as (
    select
        key_result_id,
        cycle_start as first_day,
        least(cycle_end, {{ utc_date('data_as_of') }}) as last_day
    from {{ ref('mart_okr_scorecard') }}
    cross join {{ ref('int_data_as_of') }}
    where cycle_start <= {{ utc_date('data_as_of') }}
),

found as (
    select key_result_id, min(day) as first_day, max(day) as last_day, count(*) as days
    from {{ ref('fct_key_result_daily') }}
    group by key_result_id
)

select *
from expected
full outer join found using (key_result_id)
where
    found.days is distinct from expected.last_day - expected.first_day + 1
    or found.first_day <> expected.first_day
    or found.last_day <> expected.last_day
