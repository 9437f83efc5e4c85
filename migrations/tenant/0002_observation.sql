-- Observations. eff_low and eff_high bound the effective time; both stand at 4713-01-01 BC where it is absent.
CREATE TABLE observation (
    id text COLLATE "C" CONSTRAINT observation_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT observation_tenant CHECK (tenant = :tenant),
    version bigint NOT NULL,
    last_updated timestamptz(3) NOT NULL,
    patient text COLLATE "C",
    vital text COLLATE "C",
    code1 text COLLATE "C",
    codes text[] COLLATE "C" NOT NULL,
    category text[] COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    security text[] COLLATE "C",
    eff_low timestamptz(3) NOT NULL,
    eff_high timestamptz(3) NOT NULL,
    tokens text[] COLLATE "C",
    body text NOT NULL
);
CREATE INDEX observation_patient_code ON observation (patient, code1, eff_low DESC, id);
CREATE INDEX observation_patient_date ON observation (patient, eff_low DESC, id);
CREATE INDEX observation_codes ON observation USING gin (codes);
CREATE INDEX observation_tokens ON observation USING gin (tokens);

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
    body text,
    CONSTRAINT observation_history_pkey PRIMARY KEY (id, version),
    CONSTRAINT observation_history_body CHECK (deleted = (body IS NULL))
);

GRANT SELECT, INSERT, UPDATE, DELETE ON observation TO :role;
GRANT SELECT, INSERT ON observation_history TO :role;
