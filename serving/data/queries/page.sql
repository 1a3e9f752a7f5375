-- Grain: the rows of one page of a list, or of an export. `rows` is the query of the list, and `visible` is the
-- condition that restricts it to what the caller may see.
SELECT {columns}
FROM (
{rows}
) AS listed
WHERE
{visible}
    AND {conditions}
ORDER BY {order}
LIMIT %(limit)s
