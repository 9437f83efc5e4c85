-- The audit trail: insert-only for everyone the server logs in as, chained by hash per writer and chain.
-- chain is a tenant's role name, or 'server' for requests that belong to no tenant.
CREATE TABLE audit.record (
    chain text COLLATE "C" NOT NULL,
    writer bigint NOT NULL,
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    time timestamptz(3) NOT NULL,
    record text NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT record_pkey PRIMARY KEY (chain, time, writer, sequence),
    CONSTRAINT record_id UNIQUE (id, time),
    CONSTRAINT record_hashes CHECK (octet_length(hash) = 32 AND octet_length(previous) = 32)
) PARTITION BY RANGE (time);

GRANT USAGE ON SCHEMA audit TO vitals_audit_write, vitals_audit_read;
GRANT INSERT ON audit.record TO vitals_audit_write;
GRANT SELECT ON audit.record TO vitals_audit_read;
