-- What the logins named in $1, whom they may become, and everyone hold in schema audit and may do with its database:
-- rows (role, object, rights). Those that serve are to hold nothing at all here; what an owner may counts as well.
WITH RECURSIVE reach (oid) AS (
    SELECT oid FROM pg_roles WHERE rolname = ANY ($1)
    UNION
    SELECT m.roleid FROM pg_auth_members m JOIN reach ON m.member = reach.oid
),
held (object, grantee, privilege) AS (
    SELECT format('schema %I', n.nspname), a.grantee, a.privilege_type
    FROM pg_namespace n
    CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
    WHERE n.nspname = 'audit'
    UNION ALL
    SELECT format('audit.%I', c.relname), a.grantee, a.privilege_type
    FROM pg_class c
    CROSS JOIN LATERAL aclexplode(
        coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner))) a
    WHERE c.relnamespace = to_regnamespace('audit') AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    SELECT format('audit.%I (%I)', c.relname, t.attname), a.grantee, a.privilege_type
    FROM pg_class c
    JOIN pg_attribute t ON t.attrelid = c.oid AND t.attacl IS NOT NULL
    CROSS JOIN LATERAL aclexplode(t.attacl) a
    WHERE c.relnamespace = to_regnamespace('audit')
    UNION ALL
    SELECT format('function %s', p.oid::regprocedure), a.grantee, a.privilege_type
    FROM pg_proc p
    CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    WHERE p.pronamespace = to_regnamespace('audit')
    UNION ALL
    -- What everyone may do with the database is found with the roles of the audit store.
    SELECT format('database %I', d.datname), a.grantee, a.privilege_type
    FROM pg_database d
    CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
    WHERE d.datname = current_database() AND a.grantee <> 0
)
SELECT coalesce(r.rolname::text, 'everyone') AS role, object, string_agg(DISTINCT privilege, ', ') AS rights
FROM held LEFT JOIN pg_roles r ON r.oid = held.grantee
WHERE grantee = 0 OR grantee IN (SELECT oid FROM reach)
GROUP BY 1, 2
ORDER BY 1, 2
LIMIT 20
