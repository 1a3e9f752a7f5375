{{ config(indexes=[{'columns': ['key_result_id', 'version_number'], 'unique': true}]) }}

{{ versions(ref('stg_key_result'), 'key_result') }}
