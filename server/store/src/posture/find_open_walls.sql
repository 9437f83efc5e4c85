-- Tables of tenants that take rows of another tenant: those without the CHECK on their tenant's number, as rows
-- (schema, table). $1 is a pattern for the schemas of tenants.
SELECT n.nspname::text, c.relname::text
FROM pg_namespace n
JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
JOIN control.tenant t ON t.role = n.nspname
LEFT JOIN pg_constraint k
    ON k.conrelid = c.oid AND k.contype = 'c' AND k.convalidated AND k.conname = c.relname || '_tenant'
    AND pg_get_constraintdef(k.oid) = format('CHECK ((tenant = %s))', t.number)
WHERE n.nspname ~ $1 AND k.oid IS NULL
ORDER BY 1, 2
LIMIT 20
