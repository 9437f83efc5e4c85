-- Audit records of writes, committed with the write they describe and moved on to the audit database.
-- The tenant's role may only add; vitals_settle, which reaches nothing else here, reads and removes.
CREATE TABLE audit_outbox (
    id uuid CONSTRAINT audit_outbox_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT audit_outbox_tenant CHECK (tenant = :tenant),
    writer bigint NOT NULL,
    record text NOT NULL
);

GRANT INSERT ON audit_outbox TO :role;
GRANT SELECT, DELETE ON audit_outbox TO vitals_settle;
