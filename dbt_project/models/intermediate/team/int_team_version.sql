{{ config(materialized='ephemeral') }}

{{ versions(ref('stg_team'), 'team_id', ['organisation_id', 'name']) }}
