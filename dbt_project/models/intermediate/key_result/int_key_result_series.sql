{{ config(indexes=[{'columns': ['key_result_id'], 'unique': true}]) }}

-- The versions that were recorded first, so that a key result never changes its series.
with first_recorded as (
    select
        key_result.key_result_id,
        objective.team_id,
        objective.title as objective_title,
        key_result.unit,
        key_result.title,
        abs(key_result.target)::numeric as target
    from {{ ref('int_key_result_version') }} as key_result
    left join {{ ref('int_objective_version') }} as objective
        on key_result.objective_id = objective.objective_id and objective.known_from = '-infinity'
    where key_result.known_from = '-infinity'
)

-- The target's number in the title differs from cycle to cycle ("Raise the share of ... to 31.0"), so the last number that
-- rounds the target is left out.
select
    key_result_id,
    md5(jsonb_build_array(team_id, objective_title, unit, words.title)::text) as series_id
from first_recorded
cross join lateral (
    select string_agg(part.word, '' order by part.position) filter (where part.position is distinct from part.target) as title
    from (
        select
            found.word[1] as word,
            found.position,
            max(found.position) filter (
                where found.word[1] ~ '^\d'
                and abs(
                    (case when found.word[1] ~ '^\d' then found.word[1] end)::numeric - first_recorded.target
                ) <= 0.5 * 10.0 ^ (-scale((case when found.word[1] ~ '^\d' then found.word[1] end)::numeric))
            ) over () as target
        from regexp_matches(first_recorded.title, '\d+(?:\.\d+)?|\D+', 'g') with ordinality as found (word, position)
    ) as part
) as words
