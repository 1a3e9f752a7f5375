SELECT
    metric,
    label,
    label_value,
    value
FROM ops.business_figures()
