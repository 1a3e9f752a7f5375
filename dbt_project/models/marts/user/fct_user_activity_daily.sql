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
),

active as (
    select
        user_id,
        day,
        (day + 1)::timestamp at time zone 'UTC' as day_end,
        coalesce(page_view_count, 0) as page_view_count,
        coalesce(check_in_count, 0) as check_in_count,
        coalesce(key_result_count, 0) as key_result_count
    from viewed
    full outer join checked_in using (user_id, day)
),

-- The user's team at the end of the day. The users of a dissolved team belong to its successor.
placed as (
    select
        active.*,
        case when holder.team_id is null then person.team_id else holder.holder_id end as team_id
    from active
    left join {{ ref('int_user_version') }} as person
        on active.user_id = person.user_id
        and active.day_end > person.holds_from and active.day_end <= person.holds_to
    left join {{ ref('int_team_holder') }} as holder
        on person.team_id = holder.team_id and active.day_end > holder.from_at and active.day_end <= holder.to_at
)

select
    placed.user_id,
    placed.day,
    placed.team_id,
    team.organisation_id,
    placed.page_view_count,
    placed.check_in_count,
    placed.key_result_count
from placed
left join {{ ref('int_team') }} as team on placed.team_id = team.team_id
