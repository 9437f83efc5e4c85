CREATE SCHEMA :role;

ALTER SCHEMA :role OWNER TO vitals_owner;

CREATE TABLE :role.audit_outbox (
    id uuid NOT NULL,
    tenant integer DEFAULT :tenant NOT NULL,
    writer bigint NOT NULL,
    record text NOT NULL,
    CONSTRAINT audit_outbox_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.audit_outbox OWNER TO vitals_owner;

CREATE TABLE :role.import (
    id uuid NOT NULL,
    tenant integer DEFAULT :tenant NOT NULL,
    started timestamp(3) with time zone NOT NULL,
    files text NOT NULL COLLATE pg_catalog."C",
    stamps text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT import_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.import OWNER TO vitals_owner;

CREATE TABLE :role.import_batch (
    import uuid NOT NULL,
    tenant integer DEFAULT :tenant NOT NULL,
    file integer NOT NULL,
    chunk integer NOT NULL,
    part integer NOT NULL,
    parts integer NOT NULL,
    read bigint NOT NULL,
    loaded bigint NOT NULL,
    refused bigint NOT NULL,
    errors text,
    CONSTRAINT import_batch_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.import_batch OWNER TO vitals_owner;

CREATE TABLE :role.observation (
    version bigint NOT NULL,
    last_updated timestamp(3) with time zone NOT NULL,
    eff_low timestamp(3) with time zone NOT NULL,
    eff_high timestamp(3) with time zone NOT NULL,
    q_low double precision,
    q_high double precision,
    q_canon_low double precision,
    q_canon_high double precision,
    tenant integer DEFAULT :tenant NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    patient text COLLATE pg_catalog."C",
    vital text COLLATE pg_catalog."C",
    code1 text COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    q_unit text COLLATE pg_catalog."C",
    q_name text COLLATE pg_catalog."C",
    q_canon_unit text COLLATE pg_catalog."C",
    texts text COLLATE pg_catalog."C",
    codes text[] NOT NULL COLLATE pg_catalog."C",
    category text[] NOT NULL COLLATE pg_catalog."C",
    security text[] COLLATE pg_catalog."C",
    tokens text[] COLLATE pg_catalog."C",
    c_code text[] COLLATE pg_catalog."C",
    c_low double precision[],
    c_high double precision[],
    c_unit text[] COLLATE pg_catalog."C",
    c_name text[] COLLATE pg_catalog."C",
    c_canon_low double precision[],
    c_canon_high double precision[],
    c_canon_unit text[] COLLATE pg_catalog."C",
    body bytea NOT NULL,
    CONSTRAINT observation_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.observation OWNER TO vitals_owner;

CREATE TABLE :role.observation_history (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    version bigint NOT NULL,
    last_updated timestamp(3) with time zone NOT NULL,
    patient text COLLATE pg_catalog."C",
    vital text COLLATE pg_catalog."C",
    codes text[] NOT NULL COLLATE pg_catalog."C",
    category text[] NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    security text[] COLLATE pg_catalog."C",
    deleted boolean NOT NULL,
    body bytea,
    CONSTRAINT observation_history_body CHECK ((deleted = (body IS NULL))),
    CONSTRAINT observation_history_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.observation_history OWNER TO vitals_owner;

CREATE TABLE :role.patient (
    version bigint NOT NULL,
    last_updated timestamp(3) with time zone NOT NULL,
    birth_low timestamp(3) with time zone NOT NULL,
    birth_high timestamp(3) with time zone NOT NULL,
    tenant integer DEFAULT :tenant NOT NULL,
    active boolean,
    id text NOT NULL COLLATE pg_catalog."C",
    family text NOT NULL COLLATE pg_catalog."C",
    gender text COLLATE pg_catalog."C",
    security text[] COLLATE pg_catalog."C",
    tokens text[] NOT NULL COLLATE pg_catalog."C",
    texts text COLLATE pg_catalog."C",
    body bytea NOT NULL,
    CONSTRAINT patient_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.patient OWNER TO vitals_owner;

CREATE TABLE :role.patient_history (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    version bigint NOT NULL,
    last_updated timestamp(3) with time zone NOT NULL,
    security text[] COLLATE pg_catalog."C",
    deleted boolean NOT NULL,
    body bytea,
    CONSTRAINT patient_history_body CHECK ((deleted = (body IS NULL))),
    CONSTRAINT patient_history_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.patient_history OWNER TO vitals_owner;

CREATE TABLE :role.patient_name (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    part text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C",
    written text COLLATE pg_catalog."C",
    CONSTRAINT patient_name_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.patient_name OWNER TO vitals_owner;

ALTER TABLE ONLY :role.audit_outbox
    ADD CONSTRAINT audit_outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY :role.import_batch
    ADD CONSTRAINT import_batch_pkey PRIMARY KEY (import, file, chunk, part);

ALTER TABLE ONLY :role.import
    ADD CONSTRAINT import_files UNIQUE (files);

ALTER TABLE ONLY :role.import
    ADD CONSTRAINT import_pkey PRIMARY KEY (id);

ALTER TABLE ONLY :role.observation_history
    ADD CONSTRAINT observation_history_pkey PRIMARY KEY (id, version);

ALTER TABLE ONLY :role.observation
    ADD CONSTRAINT observation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY :role.patient_history
    ADD CONSTRAINT patient_history_pkey PRIMARY KEY (id, version);

ALTER TABLE ONLY :role.patient
    ADD CONSTRAINT patient_pkey PRIMARY KEY (id);

CREATE INDEX observation_codes ON :role.observation USING gin (codes) WITH (gin_pending_list_limit='256');

CREATE INDEX observation_history_last_updated ON :role.observation_history USING btree (last_updated, id DESC);

CREATE INDEX observation_last_updated ON :role.observation USING btree (last_updated, id DESC);

CREATE INDEX observation_patient_code ON :role.observation USING btree (patient, code1, eff_low DESC, id);

CREATE INDEX observation_patient_date ON :role.observation USING btree (patient, eff_low DESC, id);

CREATE INDEX observation_time ON :role.observation USING btree (tenant, eff_low);

CREATE INDEX observation_tokens ON :role.observation USING gin (tokens) WITH (gin_pending_list_limit='256');

CREATE INDEX patient_birth ON :role.patient USING btree (birth_low DESC, id);

CREATE INDEX patient_family ON :role.patient USING btree (family DESC, id);

CREATE INDEX patient_history_last_updated ON :role.patient_history USING btree (last_updated, id DESC);

CREATE INDEX patient_last_updated ON :role.patient USING btree (last_updated, id DESC);

CREATE INDEX patient_name_patient ON :role.patient_name USING btree (id);

CREATE INDEX patient_name_value ON :role.patient_name USING btree (value, id);

CREATE INDEX patient_tokens ON :role.patient USING gin (tokens) WITH (gin_pending_list_limit='256');

ALTER TABLE ONLY :role.import_batch
    ADD CONSTRAINT import_batch_import FOREIGN KEY (import) REFERENCES :role.import(id) ON DELETE CASCADE;

ALTER TABLE ONLY :role.patient_name
    ADD CONSTRAINT patient_name_id FOREIGN KEY (id) REFERENCES :role.patient(id) ON DELETE CASCADE;

GRANT USAGE ON SCHEMA :role TO :role;
GRANT USAGE ON SCHEMA :role TO vitals_settle;

GRANT INSERT ON TABLE :role.audit_outbox TO :role;
GRANT SELECT,DELETE ON TABLE :role.audit_outbox TO vitals_settle;

GRANT SELECT,INSERT,DELETE ON TABLE :role.import TO :role;

GRANT SELECT,INSERT ON TABLE :role.import_batch TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.observation TO :role;

GRANT SELECT,INSERT ON TABLE :role.observation_history TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.patient TO :role;

GRANT SELECT,INSERT ON TABLE :role.patient_history TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.patient_name TO :role;
