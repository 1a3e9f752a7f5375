{{ config(indexes=[{'columns': ['cycle_id', 'version_number'], 'unique': true}]) }}

{{ versions(ref('stg_cycle'), 'cycle') }}
