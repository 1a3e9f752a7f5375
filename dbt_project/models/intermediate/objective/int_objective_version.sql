{{ config(indexes=[{'columns': ['objective_id', 'version_number'], 'unique': true}]) }}

{{ definition_versions(ref('stg_objective'), 'objective') }}
