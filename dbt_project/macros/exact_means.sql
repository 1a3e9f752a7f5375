{#-
Means that do not depend on the order of rows. A sum of floats depends on it, so marts rebuilt from the same log could
differ in the last digit.
-#}
{% macro exact_mean(measure) -%} avg(({{ measure }})::numeric)::double precision {%- endmacro %}

{% macro weighted_mean(measure, weight, condition='true') -%}
    (
        sum(({{ weight }} * {{ measure }})::numeric) filter (where {{ condition }})
        / nullif(sum(({{ weight }})::numeric) filter (where {{ condition }}), 0)
    )::double precision
{%- endmacro %}

{#- A part divided by the whole; null if the whole is 0. -#}
{% macro share(part, whole) -%} ({{ part }})::double precision / nullif({{ whole }}, 0) {%- endmacro %}
