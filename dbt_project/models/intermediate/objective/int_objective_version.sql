{{ config(indexes=[{'columns': ['objective_id', 'version_number'], 'unique': true}]) }}

{{ versions(
    ref('stg_objective'),
    'objective_id',
    ['team_id', 'cycle_id', 'title', 'parent_objective_id', 'owner_user_id']
) }}
