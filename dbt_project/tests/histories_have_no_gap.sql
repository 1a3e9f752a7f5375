-- Of each id the versions count from 1, each ends where the next one begins, and the last one is the current.
with version as (
    {% for noun in ['user', 'team', 'cycle', 'objective', 'key_result'] -%}
    select '{{ noun }}' as noun, {{ noun }}_id as id, version_number, valid_from, valid_to, is_current
    from {{ ref('dim_' ~ noun) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

followed as (
    select
        *,
        row_number() over by_version as expected_number,
        lead(valid_from) over by_version as next_valid_from
    from version
    window by_version as (partition by noun, id order by version_number)
)

select * from followed
where
    version_number <> expected_number
    or valid_to is distinct from next_valid_from
    or is_current <> (next_valid_from is null)
