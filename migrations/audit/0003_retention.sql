-- What stands for the records of a month that was taken out of the trail: signed lines, one for each stretch of a
-- writer's records in a chain. Nobody the server logs in as may write them; `vitals audit seal` does, as the owner.
CREATE TABLE audit.receipt (
    month text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    writer bigint NOT NULL,
    first bigint NOT NULL,
    latest timestamptz(3) NOT NULL,
    hash bytea NOT NULL,
    line text NOT NULL,
    CONSTRAINT receipt_pkey PRIMARY KEY (chain, writer, first),
    CONSTRAINT receipt_hash CHECK (octet_length(hash) = 32)
);

GRANT SELECT ON audit.receipt TO vitals_audit_read;
