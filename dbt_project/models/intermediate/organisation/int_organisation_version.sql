{{ config(indexes=[{'columns': ['organisation_id', 'version_number'], 'unique': true}]) }}

{{ versions(ref('stg_organisation'), 'organisation') }}
