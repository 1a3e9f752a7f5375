{#- A unique label for a team, including a name that it had at an earlier time (see int_team). -#}
{% macro team_label(team_id, team_name, team) -%}
    case
        when {{ team_name }} is null or {{ team }}.team_id is null then {{ team_id }}
        when {{ team_name }} = {{ team }}.name then {{ team }}.label
        else {{ team_name }} || ' (now ' || {{ team }}.label || ')'
    end
{%- endmacro %}
