-- A key result has a row for each day of a cycle at whose end it was in it and was not archived, up to the data's day.
with expected as (
    select
        placement.key_result_id,
        placement.cycle_id,
        sum(least(placement.to_day, cycle.cycle_end, {{ utc_date('data_as_of') }})
            - greatest(placement.from_day, cycle.cycle_start) + 1) as days
    from {{ ref('int_key_result_placement') }} as placement
    inner join {{ ref('int_cycle') }} as cycle on placement.cycle_id = cycle.cycle_id
    cross join {{ ref('int_data_as_of') }}
    where
        not placement.is_archived
        and greatest(placement.from_day, cycle.cycle_start)
        <= least(placement.to_day, cycle.cycle_end, {{ utc_date('data_as_of') }})
    group by placement.key_result_id, placement.cycle_id
),

found as (
    select key_result_id, cycle_id, count(*) as days
    from {{ ref('fct_key_result_daily') }}
    group by key_result_id, cycle_id
)

select *
from expected
full outer join found using (key_result_id, cycle_id)
where found.days is distinct from expected.days
