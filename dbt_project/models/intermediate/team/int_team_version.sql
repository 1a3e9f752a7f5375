{{ config(indexes=[{'columns': ['team_id', 'version_number'], 'unique': true}]) }}

{{ versions(ref('stg_team'), 'team') }}
