{{ config(indexes=[{'columns': ['organisation_id', 'version_number'], 'unique': true}]) }}

{{ definition_versions(ref('stg_organisation'), 'organisation') }}
