-- A fact says whether its key result was ever defined; that must be what the dimension says.
with fact as (
    select 'fct_check_in' as mart, key_result_id, is_key_result_known from {{ ref('fct_check_in') }}
    union all
    select 'fct_prediction', key_result_id, is_key_result_known from {{ ref('fct_prediction') }}
    union all
    select distinct 'fct_key_result_daily', key_result_id, true from {{ ref('fct_key_result_daily') }}
)

select fact.*
from fact
left join {{ ref('dim_key_result') }} as dimension
    on fact.key_result_id = dimension.key_result_id and dimension.is_current
where fact.is_key_result_known <> (dimension.key_result_id is not null)
