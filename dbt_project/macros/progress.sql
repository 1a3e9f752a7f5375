{#- The measures of a key result. All are double precision, and null if an input is null.
    The state consumer (project_key_result_cycles.sql) and the raw gate (waiting_batch.sql) compute progress by the same
    formula outside dbt; property tests compare the results. -#}

{#- Progress from baseline (0) to target (1), not clipped; also correct for falling metrics. -#}
{% macro progress_ratio(value, baseline, target) -%}
    (({{ value }} - {{ baseline }}) / nullif({{ target }} - {{ baseline }}, 0))
{%- endmacro %}

{#- Progress clipped to 0-1. greatest() and least() ignore nulls, hence the case. -#}
{% macro score_ratio(progress) -%}
    case when {{ progress }} is not null then least(greatest({{ progress }}, 0.0), 1.0) end
{%- endmacro %}

{#-
The tolerance compensates for rounding: (70.41 - 66.56) / (72.06 - 66.56) is 0.7, but less than 0.7 in floating point.
-#}
{% macro at_least(measure, boundary) -%} ({{ measure }} >= {{ boundary }} - {{ var('score_tolerance') }}) {%- endmacro %}

{#-
Whole days since the start of the cycle divided by its length, clipped to 0-1: the progress expected on a straight
line.
-#}
{% macro elapsed_ratio(day, cycle_start, cycle_end) -%}
    case when {{ day }} is not null and {{ cycle_start }} is not null and {{ cycle_end }} is not null then
        least(greatest(
            ({{ day }} - {{ cycle_start }})::double precision / greatest({{ cycle_end }} - {{ cycle_start }}, 1)
        , 0.0), 1.0)
    end
{%- endmacro %}

{#-
Progress divided by the elapsed share, which counts as at least min_elapsed_ratio. 1 means a straight line from baseline
to target, except in the first tenth of the cycle, in which the pace of a straight line is lower.
-#}
{% macro pace_ratio(progress, elapsed) -%}
    ({{ progress }} / greatest({{ elapsed }}, {{ var('min_elapsed_ratio') }}))
{%- endmacro %}
