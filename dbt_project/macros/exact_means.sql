{#-
Means that do not depend on the order of rows. Sums of floats do, so marts rebuilt from the same log would differ in the
last digit.
-#}
{% macro exact_mean(measure) -%} avg(({{ measure }})::numeric)::double precision {%- endmacro %}

{% macro weighted_mean(measure, weight, condition='true') -%}
    (
        sum(({{ weight }} * {{ measure }})::numeric) filter (where {{ condition }})
        / nullif(sum(({{ weight }})::numeric) filter (where {{ condition }}), 0)
    )::double precision
{%- endmacro %}

{#- A share of rows; null if there are none. -#}
{% macro share(part, whole) -%} ({{ part }})::double precision / nullif({{ whole }}, 0) {%- endmacro %}
