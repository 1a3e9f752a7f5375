{{ versions(ref('stg_user'), 'user_id', ['name', 'email', 'team_id']) }}
