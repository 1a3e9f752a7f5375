{{ config(indexes=[{'columns': ['user_id', 'version_number'], 'unique': true}]) }}

{{ definition_versions(ref('stg_user'), 'user') }}
