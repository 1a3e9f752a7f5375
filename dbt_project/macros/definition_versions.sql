{#-
The history of an entity type, from events that contain the full state of an entity. Grain: one row per id and version.
The versions of check-ins, which are corrected and repeated, are in int_check_in_version.sql.

A version is valid from the time it occurred until the next version. If two versions have the same time, the one logged
later (see log_order) replaces the other, which is never valid but remains as a record of what was known. An event that
repeats the previous version adds no version. Imported history without recording times counts as recorded when it
occurred. An imported version that contradicts an earlier event with the same time is a correction and counts as
recorded when it was logged.

holds_from and holds_to cover -infinity to infinity without gaps, so that exactly one version applies at any time. The
first valid version also applies to the time before it. If a version was never valid, holds_from and holds_to are
equal.

known_from and known_to are the period in which a version was the newest known one. For the version recorded first,
known_from is -infinity; its recorded_at shows when it actually became known.
-#}
{% macro definition_versions(events, entity_type) -%}
    {%- set id = entity_type ~ '_id' -%}
    {%- set columns = definition_columns(entity_type) -%}
    {%- set content = columns | join(', ') -%}
    with ordered as (
        select
            {{ id }}, {{ content }}, occurred_at, recorded_at_assumed, {{ log_order() }},
            case
                when not recorded_at_assumed then recorded_at
                when row_number() over (partition by {{ id }}, occurred_at order by {{ log_order() }}) > 1 then logged_at
                else least(occurred_at, logged_at)
            end as recorded_at
        from {{ events }}
    ),
    compared as (
        select
            *,
            recorded_at >= lag(recorded_at) over by_time
            and row({{ content }}) is not distinct from row(
                {%- for column in columns %}lag({{ column }}) over by_time{{ ', ' if not loop.last }}{% endfor -%}
            ) as is_repeated
        from ordered
        window by_time as (partition by {{ id }} order by occurred_at, {{ log_order() }})
    ),
    numbered as (
        select
            {{ id }},
            (row_number() over by_time)::integer as version_number,
            {{ content }},
            occurred_at as valid_from,
            lead(occurred_at) over by_time as valid_to,
            recorded_at,
            recorded_at_assumed as is_recorded_at_assumed,
            lead(occurred_at) over by_time is null as is_current
        from compared
        where is_repeated is not true
        window by_time as (partition by {{ id }} order by occurred_at, {{ log_order() }})
    )
    select
        *,
        case
            when valid_to is not distinct from valid_from then valid_from
            when count(*) filter (where valid_to is distinct from valid_from) over (
                partition by {{ id }} order by version_number rows between unbounded preceding and 1 preceding
            ) = 0 then '-infinity'
            else valid_from
        end as holds_from,
        coalesce(valid_to, 'infinity') as holds_to,
        case
            when row_number() over (partition by {{ id }} order by recorded_at, version_number desc) = 1 then '-infinity'
            else recorded_at
        end as known_from,
        coalesce(
            min(recorded_at) over (
                partition by {{ id }} order by version_number rows between 1 following and unbounded following
            ),
            'infinity'
        ) as known_to
    from numbered
{%- endmacro %}
