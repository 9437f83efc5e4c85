-- What the logins named in $1 could do and must not, as rows (problem, subject).
-- $2 is a pattern for the roles they may become, $3 one for the roles and schemas of tenants.
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
    SELECT r.oid, r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication,
        r.rolvaliduntil
    FROM pg_roles r JOIN reach ON reach.oid = r.oid
),
-- Whoever a right is given to among these reaches the logins: they themselves, what they can become, everyone (0).
grantee (oid, name, kind) AS (
    SELECT oid, rolname::text,
        CASE WHEN oid IN (SELECT oid FROM login) THEN 'login' WHEN rolname ~ $3 THEN 'tenant' ELSE 'settler' END
    FROM role
    UNION ALL
    SELECT 0::oid, 'everyone', 'everyone'
),
ours (oid, nspname, nspowner, nspacl, of_tenant) AS (
    SELECT oid, nspname, nspowner, nspacl, nspname ~ $3
    FROM pg_namespace
    WHERE nspname ~ $3 OR nspname IN ('control', 'audit')
),
-- Rights on our schemas, on what is in them, and on single columns of that, but for those an owner has.
held (nspname, of_tenant, relname, attname, grantee, privilege, grantable) AS (
    SELECT n.nspname, n.of_tenant, NULL::name, NULL::name, a.grantee, a.privilege_type, a.is_grantable
    FROM ours n
    CROSS JOIN LATERAL aclexplode(n.nspacl) a
    WHERE a.grantee <> n.nspowner AND a.privilege_type <> 'CREATE'
    UNION ALL
    SELECT n.nspname, n.of_tenant, c.relname, NULL, a.grantee, a.privilege_type, a.is_grantable
    FROM ours n
    JOIN pg_class c ON c.relnamespace = n.oid
    CROSS JOIN LATERAL aclexplode(c.relacl) a
    WHERE a.grantee <> c.relowner
    UNION ALL
    SELECT n.nspname, n.of_tenant, c.relname, t.attname, a.grantee, a.privilege_type, a.is_grantable
    FROM pg_attribute t
    JOIN pg_class c ON c.oid = t.attrelid
    JOIN ours n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(t.attacl) a
    WHERE t.attacl IS NOT NULL AND a.grantee <> c.relowner
),
-- What of that the design names; everything else is a problem. The rights on audit records are looked at elsewhere.
judged (problem, name, nspname, relname, attname) AS (
    SELECT CASE
            WHEN h.grantable THEN 'may pass on'
            WHEN NOT h.of_tenant AND g.kind = 'login' THEN CASE
                WHEN h.nspname = 'audit' OR h.relname IS NULL OR h.privilege = 'SELECT'
                    OR h.relname IN ('server', 'job') AND h.privilege IN ('INSERT', 'UPDATE', 'DELETE')
                    OR h.relname IN ('unsettled', 'origin', 'certificate', 'issuer', 'issuer_tenant')
                        AND h.privilege IN ('INSERT', 'DELETE')
                    OR h.relname = 'revocation' AND h.privilege IN ('INSERT', 'UPDATE', 'DELETE')
                    OR h.relname IN ('change', 'key', 'api_key', 'grant') AND h.privilege = 'INSERT'
                    OR h.relname = 'key' AND h.attname = 'retired' AND h.privilege = 'UPDATE'
                    OR h.relname = 'api_key' AND h.attname IN ('last_used', 'revoked') AND h.privilege = 'UPDATE'
                    OR h.relname = 'grant' AND h.attname IN ('revoked', 'revoked_by') AND h.privilege = 'UPDATE'
                    THEN NULL
                ELSE 'may change control' END
            WHEN NOT h.of_tenant THEN 'reaches what all tenants share'
            WHEN g.kind = 'settler' THEN CASE
                WHEN h.relname IS NULL OR h.relname = 'audit_outbox' AND h.privilege IN ('SELECT', 'DELETE') THEN NULL
                ELSE 'settles more than outboxes' END
            WHEN g.kind <> 'tenant' THEN 'reaches tenant data as itself'
            WHEN g.name <> h.nspname THEN 'reaches another tenant'
            WHEN h.relname IS NULL THEN NULL
            WHEN h.relname ~ '_history$' AND h.privilege NOT IN ('SELECT', 'INSERT')
                OR h.relname = 'audit_outbox' AND h.privilege <> 'INSERT' THEN 'may rewrite history'
            WHEN h.privilege NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') THEN 'may do more than change rows'
        END,
        g.name, h.nspname, h.relname, h.attname
    FROM held h JOIN grantee g ON g.oid = h.grantee
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
    SELECT CASE a.privilege_type WHEN 'CREATE' THEN 'may create in' WHEN 'CONNECT' THEN 'may connect to'
            ELSE 'may make temporary tables in' END,
        format('%s: database %I', grantee.name, d.datname)
    FROM pg_database d
    CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
    JOIN grantee ON grantee.oid = a.grantee
    WHERE d.datname = current_database() AND NOT (a.privilege_type = 'CONNECT' AND grantee.kind = 'login')
    UNION ALL
    SELECT 'may call set_config', grantee.name
    FROM pg_proc p
    CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    JOIN grantee ON grantee.oid = a.grantee
    WHERE p.oid = 'pg_catalog.set_config(text,text,boolean)'::regprocedure
    UNION ALL
    -- A function that runs as its owner. Those of extensions are the operator's, outside our schemas.
    SELECT 'runs as its owner', p.oid::regprocedure::text
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND (n.oid IN (SELECT oid FROM ours)
           OR EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                      JOIN grantee ON grantee.oid = a.grantee)
              AND NOT EXISTS (SELECT FROM pg_depend d
                              WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))
    UNION ALL
    -- A password is all that such a role lacks, and it can give itself one. Ten tell it as well as thousands.
    (SELECT 'may log in', rolname FROM role
     WHERE rolname ~ $3 AND rolvaliduntil IS DISTINCT FROM '-infinity'::timestamptz
     ORDER BY rolname LIMIT 10)
    UNION ALL
    SELECT problem, CASE WHEN relname IS NULL THEN format('%s: schema %I', name, nspname)
        WHEN attname IS NULL THEN format('%s: %I.%I', name, nspname, relname)
        ELSE format('%s: %I.%I (%I)', name, nspname, relname, attname) END
    FROM judged
    WHERE problem IS NOT NULL
)
-- A superuser can do everything else as well: said first, so that it is never cut off.
SELECT problem, subject
FROM problem
GROUP BY problem, subject
ORDER BY problem <> 'superuser', problem, subject
LIMIT 50
