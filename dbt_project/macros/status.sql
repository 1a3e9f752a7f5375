{#- Status of a key result in a cycle on a day. Reads the columns of int_key_result_cycle.
    app.okrs has a different status, with fewer values (ingestion/state/project_okrs.sql). -#}
{% macro key_result_status(day, progress, pace) -%}
    case
        when is_archived then 'archived'
        when is_closed then {{ closed_status('final_score') }}
        when cycle_start is null then 'no_cycle'
        when {{ day }} < cycle_start then 'not_started'
        when {{ day }} > cycle_end then 'awaiting_close'
        else {{ open_status(progress, pace) }}
    end
{%- endmacro %}

{#- Status of an open key result in its running cycle. -#}
{% macro open_status(progress, pace) -%}
    case
        when {{ progress }} is null then 'no_check_in'
        when {{ at_least(pace, var('achieved_score')) }} then 'on_track'
        when {{ at_least(pace, var('at_risk_pace')) }} then 'at_risk'
        else 'off_track'
    end
{%- endmacro %}

{#- Status of a closed key result. -#}
{% macro closed_status(score) -%}
    case when {{ at_least(score, var('achieved_score')) }} then 'achieved' else 'missed' end
{%- endmacro %}
