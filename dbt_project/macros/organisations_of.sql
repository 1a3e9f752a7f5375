{#-
The organisations that an entity belongs to: the first event in the log that names one fixes it, and an operator may have
released events that name others. Grain: one row per entity_id.
-#}
{% macro organisations_of(claims) -%}
    select entity_id, array_agg(distinct organisation_id) as organisation_ids
    from (
        select
            claim.entity_id,
            claim.is_released,
            said.organisation_id,
            dense_rank() over (partition by claim.entity_id order by {{ log_order('', 'claim') }}) as place
        from {{ claims }} as claim
        cross join unnest(claim.organisation_ids) as said (organisation_id)
    ) as named
    where place = 1 or is_released
    group by entity_id
{%- endmacro %}
