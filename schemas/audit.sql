CREATE SCHEMA audit;

ALTER SCHEMA audit OWNER TO vitals_owner;

CREATE TABLE audit.migration (
    scope text NOT NULL COLLATE pg_catalog."C",
    tenant text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    description text NOT NULL,
    checksum bytea NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    error text,
    duration_ms bigint NOT NULL,
    applied_at timestamp(3) with time zone NOT NULL,
    CONSTRAINT migration_state CHECK ((state = ANY (ARRAY['applied'::text, 'failed'::text])))
);

ALTER TABLE audit.migration OWNER TO vitals_owner;

CREATE TABLE audit.receipt (
    month text NOT NULL COLLATE pg_catalog."C",
    chain text NOT NULL COLLATE pg_catalog."C",
    writer bigint NOT NULL,
    first bigint NOT NULL,
    latest timestamp(3) with time zone NOT NULL,
    hash bytea NOT NULL,
    line text NOT NULL,
    CONSTRAINT receipt_hash CHECK ((octet_length(hash) = 32))
);

ALTER TABLE audit.receipt OWNER TO vitals_owner;

CREATE TABLE audit.record (
    chain text NOT NULL COLLATE pg_catalog."C",
    writer bigint NOT NULL,
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    "time" timestamp(3) with time zone NOT NULL,
    record text NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    keys bigint[],
    CONSTRAINT record_hashes CHECK (((octet_length(hash) = 32) AND (octet_length(previous) = 32)))
)
PARTITION BY RANGE ("time");

ALTER TABLE audit.record OWNER TO vitals_owner;

ALTER TABLE ONLY audit.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (scope, tenant, version);

ALTER TABLE ONLY audit.receipt
    ADD CONSTRAINT receipt_pkey PRIMARY KEY (chain, writer, first);

ALTER TABLE ONLY audit.record
    ADD CONSTRAINT record_id UNIQUE (id, "time");

ALTER TABLE ONLY audit.record
    ADD CONSTRAINT record_pkey PRIMARY KEY (chain, "time", writer, sequence);

CREATE INDEX record_keys ON ONLY audit.record USING gin (keys) WITH (fastupdate='on', gin_pending_list_limit='512');

GRANT USAGE ON SCHEMA audit TO vitals_audit_write;
GRANT USAGE ON SCHEMA audit TO vitals_audit_read;

GRANT SELECT ON TABLE audit.receipt TO vitals_audit_read;

GRANT INSERT ON TABLE audit.record TO vitals_audit_write;
GRANT SELECT ON TABLE audit.record TO vitals_audit_read;
