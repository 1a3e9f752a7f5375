select max(recorded_at) as data_as_of
from {{ source('raw', 'okr_user_events') }}
