{#-
Signed logarithm of a pace, defined for 0 and negative paces too: asinh(x / 0.1) is about ln(20 x) for paces well above 0.1
and linear around 0. Differences of it are log ratios of paces. ml/pace_transform.py has the inverse.
-#}
{% macro signed_log(pace) -%} asinh({{ pace }} / {{ var('pace_scale') }}) {%- endmacro %}
