{{ config(materialized='ephemeral') }}

{{ versions(ref('stg_cycle'), 'cycle_id', ['organisation_id', 'name', 'starts_on', 'ends_on']) }}
