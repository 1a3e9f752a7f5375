{#-
Fields of `data`. Contracts bound them, but a value may still be one that PostgreSQL's cast refuses, and a single event
must never stop the marts: a number too small for double precision, an integer above bigint, an offset above 15:59.
-#}

{#- Below 1e-100 a number is 0: products of smaller ones end in PostgreSQL's error "value out of range: underflow". -#}
{% macro json_float(field) -%}
    {%- set text = "(data ->> '" ~ field ~ "')" -%}
    case
        when {{ text }} is null then null
        when not pg_input_is_valid({{ text }}, 'double precision') then 0.0::double precision
        when abs({{ text }}::double precision) < 1e-100 then 0.0::double precision
        else {{ text }}::double precision
    end
{%- endmacro %}

{#- Null above bigint; a JSON number such as 12.0 or 1e3 is an integer, too. -#}
{% macro json_integer(field) -%}
    {%- set number = "(data ->> '" ~ field ~ "')::numeric" -%}
    case when abs({{ number }}) < 9223372036854775807 then ({{ number }})::bigint end
{%- endmacro %}

{#- Null where PostgreSQL cannot read the moment. -#}
{% macro json_moment(field) -%}
    {%- set text = "(data ->> '" ~ field ~ "')" -%}
    case when pg_input_is_valid({{ text }}, 'timestamp with time zone') then {{ text }}::timestamptz end
{%- endmacro %}
