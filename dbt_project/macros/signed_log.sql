{#-
Logarithm of a pace that also takes 0 and negative paces: asinh(x / 0.1) is ln(20 x) for paces well above a tenth of the
line from baseline to target, and straight around 0. Differences of it are log ratios of paces. ml/pace_transform.py has its inverse.
-#}
{% macro signed_log(pace) -%} asinh({{ pace }} / {{ var('pace_scale') }}) {%- endmacro %}
