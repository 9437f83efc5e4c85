CREATE TABLE :schema.migration (
    scope text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    description text NOT NULL,
    checksum bytea NOT NULL,
    state text COLLATE "C" NOT NULL CONSTRAINT migration_state CHECK (state IN ('applied', 'failed')),
    error text,
    duration_ms bigint NOT NULL,
    applied_at timestamptz(3) NOT NULL,
    CONSTRAINT migration_pkey PRIMARY KEY (scope, tenant, version)
)
