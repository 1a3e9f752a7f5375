{{ config(indexes=[{'columns': ['team_id', 'version_number'], 'unique': true}]) }}

{{ definition_versions(ref('stg_team'), 'team') }}
