{{ config(indexes=[{'columns': ['objective_id', 'version_number'], 'unique': true}]) }}

{{ versions(ref('stg_objective'), 'objective') }}
