-- What the logins named in $1 could do and must not, as rows (problem, subject).
-- $2 is a pattern for the roles they may become, $3 one for the schemas whose tables belong to tenants.
-- Read from the access lists themselves: one pass, whatever the number of tenants.
WITH RECURSIVE login AS (
    SELECT oid, rolname, rolinherit, rolconfig
    FROM pg_roles
    WHERE rolname = ANY ($1)
),
reach (oid) AS (
    SELECT oid FROM login
    UNION
    SELECT m.roleid FROM pg_auth_members m JOIN reach ON m.member = reach.oid
),
role AS (
    SELECT r.oid, r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication
    FROM pg_roles r JOIN reach ON reach.oid = r.oid
),
-- Whoever a right is given to among these reaches the logins: they themselves, what they can become, everyone (0).
grantee (oid, name) AS (
    SELECT oid, rolname::text FROM role
    UNION ALL
    SELECT 0::oid, 'everyone'
),
tenant_right AS (
    SELECT n.nspname, c.relname, a.grantee, a.privilege_type
    FROM pg_namespace n
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    CROSS JOIN LATERAL aclexplode(c.relacl) a
    WHERE n.nspname ~ $3 AND a.grantee <> c.relowner
),
problem (problem, subject) AS (
    SELECT 'superuser' AS problem, rolname::text AS subject FROM role WHERE rolsuper
    UNION ALL
    SELECT 'bypasses row security', rolname FROM role WHERE rolbypassrls
    UNION ALL
    SELECT 'may create roles', rolname FROM role WHERE rolcreaterole
    UNION ALL
    SELECT 'may create databases', rolname FROM role WHERE rolcreatedb
    UNION ALL
    SELECT 'may replicate', rolname FROM role WHERE rolreplication
    UNION ALL
    SELECT 'inherits', rolname FROM login WHERE rolinherit
    UNION ALL
    -- The option stands with each membership from PostgreSQL 16 on.
    SELECT 'inherits', format('%s from %s', login.rolname, m.roleid::regrole)
    FROM pg_auth_members m JOIN login ON login.oid = m.member
    WHERE to_jsonb(m) ->> 'inherit_option' = 'true'
    UNION ALL
    SELECT 'may change roles', format('%s of %s', role.rolname, m.roleid::regrole)
    FROM pg_auth_members m JOIN role ON role.oid = m.member
    WHERE m.admin_option
    UNION ALL
    SELECT 'may become', rolname FROM role WHERE rolname !~ $2 AND oid NOT IN (SELECT oid FROM login)
    UNION ALL
    SELECT 'search path', rolname FROM login
    WHERE NOT coalesce('search_path=pg_catalog, "$user", pg_temp' = ANY (rolconfig), false)
    UNION ALL
    SELECT 'owns', format('%s: %s', role.rolname, c.oid::regclass)
    FROM pg_class c JOIN role ON role.oid = c.relowner
    WHERE c.relkind <> 't'
    UNION ALL
    SELECT 'owns', format('%s: schema %I', role.rolname, n.nspname)
    FROM pg_namespace n JOIN role ON role.oid = n.nspowner
    UNION ALL
    SELECT 'owns', format('%s: function %s', role.rolname, p.oid::regprocedure)
    FROM pg_proc p JOIN role ON role.oid = p.proowner
    UNION ALL
    SELECT 'owns', format('%s: database %I', role.rolname, d.datname)
    FROM pg_database d JOIN role ON role.oid = d.datdba
    UNION ALL
    SELECT 'may create in', format('%s: schema %I', grantee.name, n.nspname)
    FROM pg_namespace n
    CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
    JOIN grantee ON grantee.oid = a.grantee
    WHERE a.privilege_type = 'CREATE'
    UNION ALL
    SELECT CASE a.privilege_type WHEN 'CREATE' THEN 'may create in' ELSE 'may make temporary tables in' END,
        format('%s: database %I', grantee.name, d.datname)
    FROM pg_database d
    CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
    JOIN grantee ON grantee.oid = a.grantee
    WHERE d.datname = current_database() AND a.privilege_type IN ('CREATE', 'TEMPORARY')
    UNION ALL
    SELECT 'may call set_config', grantee.name
    FROM pg_proc p
    CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    JOIN grantee ON grantee.oid = a.grantee
    WHERE p.oid = 'pg_catalog.set_config(text,text,boolean)'::regprocedure
    UNION ALL
    SELECT 'reaches tenant data as itself', format('%s: %I.%I', coalesce(login.rolname, 'everyone'), nspname, relname)
    FROM tenant_right LEFT JOIN login ON login.oid = grantee
    WHERE grantee = 0 OR login.oid IS NOT NULL
    UNION ALL
    SELECT 'reaches another tenant', format('%s: %I.%I', role.rolname, nspname, relname)
    FROM tenant_right JOIN role ON role.oid = grantee
    WHERE role.rolname ~ $3 AND role.rolname <> nspname
    UNION ALL
    SELECT 'may rewrite history', format('%s: %I.%I', role.rolname, nspname, relname)
    FROM tenant_right JOIN role ON role.oid = grantee
    WHERE role.rolname = nspname
      AND (relname ~ '_history$' AND privilege_type NOT IN ('SELECT', 'INSERT')
           OR relname = 'audit_outbox' AND privilege_type <> 'INSERT')
)
-- A superuser can do everything else as well: said first, so that it is never cut off.
SELECT problem, subject
FROM problem
ORDER BY problem <> 'superuser', problem, subject
LIMIT 50
