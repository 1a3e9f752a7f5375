{#-
When entities of a noun were archived, closed or deactivated, and when they were revived. Grain: one row per id and
ending. A definition that occurs after the ending revives the entity, for a full-state event says that it is there; of
two events of one moment the later one in the log holds. An ending of what has ended already changes nothing.
-#}
{% macro endings(noun, defined, ended, reason='null::text', successor='null::text') -%}
    {%- set id = noun ~ '_id' -%}
    select
        '{{ noun }}' as noun, id, occurred_at as ended_at, revived_at, recorded_at, reason, successor_id
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
                from {{ defined }}
                where {{ id }} in (select {{ id }} from {{ ended }})
            ) as event
            window by_time as (partition by id order by occurred_at, {{ log_order() }})
        ) as compared
        where is_ending <> was_ended
        window by_time as (partition by id order by occurred_at, {{ log_order() }})
    ) as changed
    where is_ending
{%- endmacro %}
