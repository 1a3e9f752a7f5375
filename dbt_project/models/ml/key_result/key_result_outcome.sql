{{ config(indexes=[{'columns': ['key_result_id', 'cycle_id'], 'unique': true}]) }}

select
    key_result_id,
    cycle_id,
    cycle_name,
    cycle_start,
    cycle_end,
    final_value,
    final_score,
    is_achieved,
    final_at as closed_at,
    final_recorded_at as known_at
from {{ ref('int_key_result_cycle') }}
where is_closed and cycle_start is not null and cycle_end is not null
