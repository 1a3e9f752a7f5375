{{ config(indexes=[{'columns': ['user_id', 'version_number'], 'unique': true}]) }}

{{ versions(ref('stg_user'), 'user') }}
