{#-
Read fields of `data`. PostgreSQL's casts reject some values that the contracts allow: numbers too small for double
precision, integers above bigint and UTC offsets above 15:59. These macros never fail, because a single event must not
stop the build.
-#}

{#- Numbers below 1e-100 become 0, because products of such numbers fail with "value out of range: underflow". -#}
{% macro json_float(field) -%}
    {%- set text = "(data ->> '" ~ field ~ "')" -%}
    case
        when {{ text }} is null then null
        when not pg_input_is_valid({{ text }}, 'double precision') then 0.0::double precision
        when abs({{ text }}::double precision) < 1e-100 then 0.0::double precision
        else {{ text }}::double precision
    end
{%- endmacro %}

{#- Null if the number exceeds bigint. JSON numbers such as 12.0 and 1e3 are also integers. -#}
{% macro json_integer(field) -%}
    {%- set number = "(data ->> '" ~ field ~ "')::numeric" -%}
    case when abs({{ number }}) < 9223372036854775807 then ({{ number }})::bigint end
{%- endmacro %}

{#- Null if PostgreSQL cannot parse the timestamp. -#}
{% macro json_timestamp(field) -%}
    {%- set text = "(data ->> '" ~ field ~ "')" -%}
    case when pg_input_is_valid({{ text }}, 'timestamp with time zone') then {{ text }}::timestamptz end
{%- endmacro %}
