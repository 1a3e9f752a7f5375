-- keeps_identity: all staging views read this table, so dropping and recreating it would also drop them.
{{ config(indexes=[{'columns': ['event_id'], 'unique': true}], keeps_identity=true) }}

select conflict.event_id
from {{ ref('int_identity_conflict') }} as conflict
left join {{ source('ops', 'event_review') }} as review
    on conflict.event_id = review.event_id and conflict.rule = review.rule and review.decision = 'release'
where review.event_id is null
union
select event_id from {{ source('ops', 'event_review') }} where decision = 'withhold'
