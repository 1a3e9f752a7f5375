{{ config(indexes=[{'columns': ['key_result_id'], 'unique': true}]) }}

with closing as (
    select distinct on (key_result_id) key_result_id, recorded_at
    from {{ ref('int_check_in') }}
    where is_final
    order by key_result_id, checked_in_at desc, recorded_at desc, check_in_id desc
)

select
    key_result.key_result_id,
    key_result.cycle_id,
    key_result.cycle_name,
    key_result.cycle_start,
    key_result.cycle_end,
    key_result.final_value,
    key_result.final_score,
    key_result.is_achieved,
    key_result.final_at as closed_at,
    closing.recorded_at as known_at
from {{ ref('int_key_result') }} as key_result
inner join closing using (key_result_id)
where key_result.is_closed and key_result.cycle_start is not null and key_result.cycle_end is not null
