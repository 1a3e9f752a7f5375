{#-
The figures of a scorecard. The caller groups the rows of mart_okr_scorecard that are not archived.
-#}
{% macro scorecard_figures() -%}
    count(*) as key_result_count,
    count(*) filter (where is_closed) as closed_count,
    count(*) filter (where status = 'achieved') as achieved_count,
    count(*) filter (where status = 'missed') as missed_count,
    count(*) filter (where status = 'on_track') as on_track_count,
    count(*) filter (where status = 'at_risk') as at_risk_count,
    count(*) filter (where status = 'off_track') as off_track_count,
    count(*) filter (where status = 'no_check_in') as no_check_in_count,
    count(*) filter (where status = 'awaiting_close') as awaiting_close_count,
    count(*) filter (where status = 'not_started') as not_started_count,
    count(*) filter (where status = 'no_cycle') as no_cycle_count,
    {{ weighted_mean('final_score', 'weight', 'is_closed') }} as attainment_ratio,
    {{ weighted_mean('coalesce(score_ratio, 0)', 'weight') }} as score_to_date_ratio
{%- endmacro %}

{% macro achieved_share() -%} {{ share('achieved_count', 'closed_count') }} {%- endmacro %}

{% macro on_track_share() -%}
    {{ share('on_track_count', 'on_track_count + at_risk_count + off_track_count + no_check_in_count') }}
{%- endmacro %}
