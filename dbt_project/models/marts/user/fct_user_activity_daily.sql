with viewed as (
    select user_id, {{ utc_date('occurred_at') }} as day, count(*) as page_view_count
    from {{ ref('stg_page') }}
    group by 1, 2
),

checked_in as (
    select
        user_id,
        {{ utc_date('checked_in_at') }} as day,
        count(*) as check_in_count,
        count(distinct key_result_id) as key_result_count
    from {{ ref('int_check_in') }}
    where user_id is not null
    group by 1, 2
)

select
    user_id,
    day,
    coalesce(page_view_count, 0) as page_view_count,
    coalesce(check_in_count, 0) as check_in_count,
    coalesce(key_result_count, 0) as key_result_count
from viewed
full outer join checked_in using (user_id, day)
