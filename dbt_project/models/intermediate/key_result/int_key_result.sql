{{ config(indexes=[{'columns': ['key_result_id'], 'unique': true}]) }}

select * from {{ ref('int_key_result_cycle') }} where is_current_cycle
