{#-
Signed logarithm of a pace, which is also defined for 0 and negative paces: asinh(x / 0.1) is about ln(20 x) for paces
well above 0.1 and linear around 0. The difference between two values is the logarithm of the ratio of their paces.
ml/pace_transform.py implements the inverse.
-#}
{% macro signed_log(pace) -%} asinh({{ pace }} / {{ var('pace_scale') }}) {%- endmacro %}
