{#-
When entities of a type were archived, closed or deactivated, and when they were revived. Grain: one row per id and
ending. A later definition revives the entity only if it differs from the previous one, so a source that resends all
definitions every night does not revive any. If two events have the same time, the one logged later wins. Ending an
entity that has already ended has no effect. The function app.endings, which ingestion/state uses, implements the same
rules.
-#}
{% macro endings(entity_type, defined, ended, reason='null::text', successor='null::text') -%}
    {%- set id = entity_type ~ '_id' -%}
    {%- set by_time = 'over (partition by ' ~ id ~ ' order by occurred_at, ' ~ log_order() ~ ')' -%}
    {%- set content = definition_columns(entity_type) -%}
    select
        '{{ entity_type }}' as entity_type, id, occurred_at as ended_at, revived_at, recorded_at, reason, successor_id
    from (
        select *, lead(occurred_at) over by_time as revived_at
        from (
            select *, coalesce(lag(is_ending) over by_time, false) as was_ended
            from (
                select
                    {{ id }} as id, true as is_ending, occurred_at, recorded_at, {{ log_order() }},
                    {{ reason }} as reason, {{ successor }} as successor_id
                from {{ ended }}
                union all
                select {{ id }}, false, occurred_at, recorded_at, {{ log_order() }}, null, null
                from (
                    select
                        *,
                        row_number() {{ by_time }} = 1
                        or row({{ content | join(', ') }}) is distinct from row(
                            {%- for column in content %}lag({{ column }}) {{ by_time }}{{ ', ' if not loop.last }}{% endfor -%}
                        ) as is_change
                    from {{ defined }}
                    where {{ id }} in (select {{ id }} from {{ ended }})
                ) as definition
                where is_change
            ) as event
            window by_time as (partition by id order by occurred_at, {{ log_order() }})
        ) as compared
        where is_ending <> was_ended
        window by_time as (partition by id order by occurred_at, {{ log_order() }})
    ) as changed
    where is_ending
{%- endmacro %}
