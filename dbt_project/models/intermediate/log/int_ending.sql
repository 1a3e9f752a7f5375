{{ config(indexes=[{'columns': ['entity_type', 'id']}]) }}

{{ endings('key_result', ref('stg_key_result'), ref('stg_key_result_archived'), reason='reason') }}
union all
{{ endings('objective', ref('stg_objective'), ref('stg_objective_archived'), reason='reason') }}
union all
{{ endings('team', ref('stg_team'), ref('stg_team_archived'), successor='successor_team_id') }}
union all
{{ endings('cycle', ref('stg_cycle'), ref('stg_cycle_closed')) }}
union all
{{ endings('user', ref('stg_user'), ref('stg_user_deactivated')) }}
