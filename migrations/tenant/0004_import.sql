-- Imports that have not ended, and what the batches of their files became. A batch and its row stand or fall together, so
-- that an import which was broken off goes on behind what stands. files and stamps are hashes: of the paths, and of what
-- tells a file from a later one under the same path. errors holds what was refused, as NDJSON.
CREATE TABLE import (
    id uuid CONSTRAINT import_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT import_tenant CHECK (tenant = :tenant),
    started timestamptz(3) NOT NULL,
    files text COLLATE "C" NOT NULL CONSTRAINT import_files UNIQUE,
    stamps text COLLATE "C" NOT NULL
);
CREATE TABLE import_batch (
    import uuid NOT NULL CONSTRAINT import_batch_import REFERENCES import (id) ON DELETE CASCADE,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT import_batch_tenant CHECK (tenant = :tenant),
    file integer NOT NULL,
    chunk integer NOT NULL,
    part integer NOT NULL,
    parts integer NOT NULL,
    read bigint NOT NULL,
    loaded bigint NOT NULL,
    refused bigint NOT NULL,
    errors text,
    CONSTRAINT import_batch_pkey PRIMARY KEY (import, file, chunk, part)
);

GRANT SELECT, INSERT, DELETE ON import TO :role;
GRANT SELECT, INSERT ON import_batch TO :role;
