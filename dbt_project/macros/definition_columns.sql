{#- The columns that define an entity of a type. A definition event that repeats all of their values has no effect. -#}
{% macro definition_columns(entity_type) -%}
    {{ return({
        'organisation': ['name'],
        'team': ['organisation_id', 'name'],
        'user': ['name', 'email', 'team_id'],
        'cycle': ['organisation_id', 'name', 'starts_on', 'ends_on'],
        'objective': ['team_id', 'cycle_id', 'title', 'parent_objective_id', 'owner_user_id'],
        'key_result': [
            'objective_id', 'title', 'unit', 'baseline', 'target', 'direction', 'weight', 'owner_user_id'
        ],
    }[entity_type]) }}
{%- endmacro %}
