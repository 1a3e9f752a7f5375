{#-
Fields of `data`. Contracts limit their values, but PostgreSQL's casts reject some valid ones, and a single event must never
stop the marts: a number too small for double precision, an integer above bigint, a UTC offset above 15:59.
-#}

{#- Numbers below 1e-100 become 0: products of smaller ones fail with "value out of range: underflow". -#}
{% macro json_float(field) -%}
    {%- set text = "(data ->> '" ~ field ~ "')" -%}
    case
        when {{ text }} is null then null
        when not pg_input_is_valid({{ text }}, 'double precision') then 0.0::double precision
        when abs({{ text }}::double precision) < 1e-100 then 0.0::double precision
        else {{ text }}::double precision
    end
{%- endmacro %}

{#- Null above bigint. JSON numbers such as 12.0 or 1e3 are integers too. -#}
{% macro json_integer(field) -%}
    {%- set number = "(data ->> '" ~ field ~ "')::numeric" -%}
    case when abs({{ number }}) < 9223372036854775807 then ({{ number }})::bigint end
{%- endmacro %}

{#- Null if PostgreSQL cannot parse the timestamp. -#}
{% macro json_moment(field) -%}
    {%- set text = "(data ->> '" ~ field ~ "')" -%}
    case when pg_input_is_valid({{ text }}, 'timestamp with time zone') then {{ text }}::timestamptz end
{%- endmacro %}
