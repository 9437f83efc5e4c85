-- What changed, in order: every server polls this into its directory. Append-only.
-- Writers take pg_advisory_xact_lock(7311, 1) first, so that numbers become visible in their own order.
CREATE TABLE control.change (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C",
    kind text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    at timestamptz(3) NOT NULL
);
