{{ config(indexes=[{'columns': ['cycle_id', 'version_number'], 'unique': true}]) }}

{{ definition_versions(ref('stg_cycle'), 'cycle') }}
