{{ config(indexes=[{'columns': ['key_result_id', 'version_number'], 'unique': true}]) }}

{{ definition_versions(ref('stg_key_result'), 'key_result') }}
