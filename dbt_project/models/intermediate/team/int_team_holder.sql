{{ config(indexes=[{'columns': ['team_id', 'from_at'], 'unique': true}]) }}

-- The recursion reads only dissolved teams, of which there are few.
with recursive archival as (
    select
        id as team_id,
        successor_id,
        tstzrange(ended_at, coalesce(revived_at, 'infinity')) as span
    from {{ ref('int_ending') }}
    where entity_type = 'team' and ended_at is distinct from revived_at
),

archived as (
    select team_id, range_agg(span) as spans from archival group by team_id
),

-- Follow successors, each for the period in which the preceding team is dissolved. `path` stops a circular succession.
succession as (
    select team_id, team_id as holder_id, tstzrange('-infinity', 'infinity') as span, array[team_id] as path
    from archived
    union all
    select
        succession.team_id, archival.successor_id, succession.span * archival.span,
        succession.path || archival.successor_id
    from succession
    inner join archival on succession.holder_id = archival.team_id and succession.span && archival.span
    where archival.successor_id is not null and archival.successor_id <> all(succession.path)
),

owned as (
    select succession.team_id, succession.holder_id, piece
    from succession
    left join archived on succession.holder_id = archived.team_id
    cross join lateral unnest(
        tstzmultirange(succession.span) - coalesce(archived.spans, '{}'::tstzmultirange)
    ) as piece
),

without_holder as (
    select team_id, null::text as holder_id, piece
    from (
        select team_id, tstzmultirange(tstzrange('-infinity', 'infinity')) - range_agg(piece) as spans
        from owned
        group by team_id
    ) as gap
    cross join lateral unnest(gap.spans) as piece
)

select team_id, holder_id, lower(piece) as from_at, upper(piece) as to_at from owned
union all
select team_id, holder_id, lower(piece) as from_at, upper(piece) as to_at from without_holder
