-- Patients: the text that was written, packed as server/store/src/rows/packed.rs says, beside the columns that searches
-- and scopes need. family is what they are sorted by; birth_low and birth_high bound the date of birth and stand at
-- 4713-01-01 BC where it is absent.
CREATE TABLE patient (
    version bigint NOT NULL,
    last_updated timestamptz(3) NOT NULL,
    birth_low timestamptz(3) NOT NULL,
    birth_high timestamptz(3) NOT NULL,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT patient_tenant CHECK (tenant = :tenant),
    active boolean,
    id text COLLATE "C" CONSTRAINT patient_pkey PRIMARY KEY,
    family text COLLATE "C" NOT NULL,
    gender text COLLATE "C",
    security text[] COLLATE "C",
    tokens text[] COLLATE "C" NOT NULL,
    texts text COLLATE "C",
    body bytea NOT NULL
);
CREATE INDEX patient_tokens ON patient USING gin (tokens) WITH (gin_pending_list_limit = 256);
-- The orders that lists of patients are asked for in.
CREATE INDEX patient_family ON patient (family DESC, id);
CREATE INDEX patient_birth ON patient (birth_low DESC, id);

-- The parts of names, folded for search by beginning; as written where that differs.
CREATE TABLE patient_name (
    id text COLLATE "C" NOT NULL CONSTRAINT patient_name_id REFERENCES patient (id) ON DELETE CASCADE,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT patient_name_tenant CHECK (tenant = :tenant),
    part text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    written text COLLATE "C"
);
CREATE INDEX patient_name_value ON patient_name (value, id);
CREATE INDEX patient_name_patient ON patient_name (id);

-- Replaced and deleted versions.
CREATE TABLE patient_history (
    id text COLLATE "C" NOT NULL,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT patient_history_tenant CHECK (tenant = :tenant),
    version bigint NOT NULL,
    last_updated timestamptz(3) NOT NULL,
    security text[] COLLATE "C",
    deleted boolean NOT NULL,
    body bytea,
    CONSTRAINT patient_history_pkey PRIMARY KEY (id, version),
    CONSTRAINT patient_history_body CHECK (deleted = (body IS NULL))
);
CREATE INDEX patient_history_last_updated ON patient_history (last_updated, id DESC);

GRANT SELECT, INSERT, UPDATE, DELETE ON patient, patient_name TO :role;
GRANT SELECT, INSERT ON patient_history TO :role;
