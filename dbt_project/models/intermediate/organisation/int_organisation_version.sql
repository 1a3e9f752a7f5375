{{ config(materialized='ephemeral') }}

{{ versions(ref('stg_organisation'), 'organisation_id', ['name']) }}
