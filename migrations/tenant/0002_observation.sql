-- Observations. eff_low and eff_high bound the effective time; both stand at 4713-01-01 BC where it is absent.
-- q_… is the value: its bounds (q_high only where it is not q_low), its unit's system and code, the unit for people, and
-- the bounds in UCUM's base units. c_… are the same of components, one element for each coding of a component's code.
-- body is the text that was written, packed as server/store/src/rows/packed.rs says.
-- Columns of fixed width come first: a row is smaller by its padding.
CREATE TABLE observation (
    version bigint NOT NULL,
    last_updated timestamptz(3) NOT NULL,
    eff_low timestamptz(3) NOT NULL,
    eff_high timestamptz(3) NOT NULL,
    q_low double precision,
    q_high double precision,
    q_canon_low double precision,
    q_canon_high double precision,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT observation_tenant CHECK (tenant = :tenant),
    id text COLLATE "C" CONSTRAINT observation_pkey PRIMARY KEY,
    patient text COLLATE "C",
    vital text COLLATE "C",
    code1 text COLLATE "C",
    status text COLLATE "C" NOT NULL,
    q_unit text COLLATE "C",
    q_name text COLLATE "C",
    q_canon_unit text COLLATE "C",
    texts text COLLATE "C",
    codes text[] COLLATE "C" NOT NULL,
    category text[] COLLATE "C" NOT NULL,
    security text[] COLLATE "C",
    tokens text[] COLLATE "C",
    c_code text[] COLLATE "C",
    c_low double precision[],
    c_high double precision[],
    c_unit text[] COLLATE "C",
    c_name text[] COLLATE "C",
    c_canon_low double precision[],
    c_canon_high double precision[],
    c_canon_unit text[] COLLATE "C",
    body bytea NOT NULL
);
CREATE INDEX observation_patient_code ON observation (patient, code1, eff_low DESC, id);
CREATE INDEX observation_patient_date ON observation (patient, eff_low DESC, id);
-- All patients' Observations by their time. The tenant, which is the same in each row, comes first: only a search that
-- names it can take this index, and a search of one patient, which does not, is never tempted to. Ids of one moment are
-- sorted as they are read.
CREATE INDEX observation_time ON observation (tenant, eff_low);
-- What these have not sorted in yet every search by them reads from one end to the other, and whoever fills the list
-- sorts it in: with the usual 4 MB both take long, and 76 bytes an Observation more in the first 100,000.
CREATE INDEX observation_codes ON observation USING gin (codes) WITH (gin_pending_list_limit = 256);
CREATE INDEX observation_tokens ON observation USING gin (tokens) WITH (gin_pending_list_limit = 256);

-- Replaced and deleted versions, with what a scope's predicate needs; a tombstone keeps it too.
CREATE TABLE observation_history (
    id text COLLATE "C" NOT NULL,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT observation_history_tenant CHECK (tenant = :tenant),
    version bigint NOT NULL,
    last_updated timestamptz(3) NOT NULL,
    patient text COLLATE "C",
    vital text COLLATE "C",
    codes text[] COLLATE "C" NOT NULL,
    category text[] COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    security text[] COLLATE "C",
    deleted boolean NOT NULL,
    body bytea,
    CONSTRAINT observation_history_pkey PRIMARY KEY (id, version),
    CONSTRAINT observation_history_body CHECK (deleted = (body IS NULL))
);
CREATE INDEX observation_history_last_updated ON observation_history (last_updated, id DESC);

GRANT SELECT, INSERT, UPDATE, DELETE ON observation TO :role;
GRANT SELECT, INSERT ON observation_history TO :role;
