{#-
When each version of a history was the newest one known: from known_from until before known_to. Before anything was
recorded the version that was recorded first counts; recorded_at then tells that it was not known yet.
-#}
{% macro known_versions(history, id, columns) -%}
    select
        {{ id }}, {{ columns | join(', ') }}, recorded_at,
        case
            when row_number() over (partition by {{ id }} order by recorded_at, version_number desc) = 1
                then '-infinity'::timestamptz
            else recorded_at
        end as known_from,
        coalesce(
            min(recorded_at) over (
                partition by {{ id }} order by version_number rows between 1 following and unbounded following
            ),
            'infinity'
        ) as known_to
    from {{ history }}
{%- endmacro %}
