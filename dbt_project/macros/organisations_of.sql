{#-
The organisations that an entity belongs to: the one that the first event in the log names, and those named by events
that an operator has released. Events that an operator has withheld are ignored, as are unreleased events for which the
condition `contradicts` holds, so that a corrected event can take effect. Grain: one row per entity_id.
-#}
{% macro organisations_of(claims, contradicts='false') -%}
    select entity_id, array_agg(distinct organisation_id) as organisation_ids
    from (
        select
            claim.entity_id,
            claim.is_released,
            named.organisation_id,
            dense_rank() over (partition by claim.entity_id order by {{ log_order('', 'claim') }}) as log_rank
        from {{ claims }} as claim
        cross join unnest(claim.organisation_ids) as named (organisation_id)
        where not claim.is_withheld and (claim.is_released or ({{ contradicts }}) is not true)
    ) as ranked
    where log_rank = 1 or is_released
    group by entity_id
{%- endmacro %}
