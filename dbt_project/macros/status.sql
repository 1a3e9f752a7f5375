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
