CREATE SCHEMA :role;

ALTER SCHEMA :role OWNER TO vitals_owner;

CREATE TABLE :role.account (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    username text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    password text,
    issuer text COLLATE pg_catalog."C",
    subject text COLLATE pg_catalog."C",
    fhir_user text COLLATE pg_catalog."C",
    patients text[] DEFAULT '{}'::text[] NOT NULL COLLATE pg_catalog."C",
    scopes text[] NOT NULL COLLATE pg_catalog."C",
    failures integer DEFAULT 0 NOT NULL,
    locked_until timestamp(3) with time zone,
    created timestamp(3) with time zone NOT NULL,
    revoked timestamp(3) with time zone,
    CONSTRAINT account_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.account OWNER TO vitals_owner;

CREATE TABLE :role.approval (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    client text NOT NULL COLLATE pg_catalog."C",
    account text NOT NULL COLLATE pg_catalog."C",
    session text COLLATE pg_catalog."C",
    scopes text[] NOT NULL COLLATE pg_catalog."C",
    context text NOT NULL,
    refresh text NOT NULL COLLATE pg_catalog."C",
    created timestamp(3) with time zone NOT NULL,
    expires timestamp(3) with time zone NOT NULL,
    ended timestamp(3) with time zone,
    CONSTRAINT approval_refresh CHECK ((refresh = ANY (ARRAY['none'::text, 'online'::text, 'offline'::text]))),
    CONSTRAINT approval_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.approval OWNER TO vitals_owner;

CREATE TABLE :role.audit_outbox (
    id uuid NOT NULL,
    tenant integer DEFAULT :tenant NOT NULL,
    writer bigint NOT NULL,
    record text NOT NULL,
    CONSTRAINT audit_outbox_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.audit_outbox OWNER TO vitals_owner;

CREATE TABLE :role.client (
    id text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    name text NOT NULL,
    authentication text NOT NULL COLLATE pg_catalog."C",
    secret text COLLATE pg_catalog."C",
    jwks text,
    jwks_url text,
    certificate text COLLATE pg_catalog."C",
    redirect_uris text[] DEFAULT '{}'::text[] NOT NULL COLLATE pg_catalog."C",
    launch_uri text COLLATE pg_catalog."C",
    scopes text[] NOT NULL COLLATE pg_catalog."C",
    ehr boolean DEFAULT false NOT NULL,
    require_proof boolean DEFAULT false NOT NULL,
    metadata text DEFAULT '{}'::text NOT NULL,
    registered_by text NOT NULL,
    created timestamp(3) with time zone NOT NULL,
    revoked timestamp(3) with time zone,
    CONSTRAINT client_authentication CHECK ((authentication = ANY (ARRAY['none'::text, 'client_secret'::text, 'private_key_jwt'::text, 'tls_client_auth'::text, 'self_signed_tls_client_auth'::text]))),
    CONSTRAINT client_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.client OWNER TO vitals_owner;

CREATE TABLE :role.code (
    hash text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    approval text NOT NULL COLLATE pg_catalog."C",
    redirect_uri text NOT NULL COLLATE pg_catalog."C",
    challenge text NOT NULL COLLATE pg_catalog."C",
    nonce text,
    jkt text COLLATE pg_catalog."C",
    expires timestamp(3) with time zone NOT NULL,
    used timestamp(3) with time zone,
    CONSTRAINT code_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.code OWNER TO vitals_owner;

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

CREATE TABLE :role.launch (
    hash text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    client text NOT NULL COLLATE pg_catalog."C",
    account text NOT NULL COLLATE pg_catalog."C",
    context text NOT NULL,
    expires timestamp(3) with time zone NOT NULL,
    used timestamp(3) with time zone,
    CONSTRAINT launch_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.launch OWNER TO vitals_owner;

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

CREATE TABLE :role.pushed_request (
    hash text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    client text NOT NULL COLLATE pg_catalog."C",
    parameters text NOT NULL,
    expires timestamp(3) with time zone NOT NULL,
    used timestamp(3) with time zone,
    CONSTRAINT pushed_request_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.pushed_request OWNER TO vitals_owner;

CREATE TABLE :role.refresh_token (
    hash text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    approval text NOT NULL COLLATE pg_catalog."C",
    jkt text COLLATE pg_catalog."C",
    created timestamp(3) with time zone NOT NULL,
    expires timestamp(3) with time zone NOT NULL,
    used timestamp(3) with time zone,
    CONSTRAINT refresh_token_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.refresh_token OWNER TO vitals_owner;

CREATE TABLE :role.registration_token (
    hash text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    scopes text[] NOT NULL COLLATE pg_catalog."C",
    created timestamp(3) with time zone NOT NULL,
    expires timestamp(3) with time zone NOT NULL,
    revoked timestamp(3) with time zone,
    CONSTRAINT registration_token_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.registration_token OWNER TO vitals_owner;

CREATE TABLE :role.seen (
    hash text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    expires timestamp(3) with time zone NOT NULL,
    CONSTRAINT seen_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.seen OWNER TO vitals_owner;

CREATE TABLE :role.session (
    hash text NOT NULL COLLATE pg_catalog."C",
    tenant integer DEFAULT :tenant NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    account text NOT NULL COLLATE pg_catalog."C",
    address text,
    created timestamp(3) with time zone NOT NULL,
    seen timestamp(3) with time zone NOT NULL,
    expires timestamp(3) with time zone NOT NULL,
    CONSTRAINT session_tenant CHECK ((tenant = :tenant))
);

ALTER TABLE :role.session OWNER TO vitals_owner;

ALTER TABLE ONLY :role.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (id);

ALTER TABLE ONLY :role.account
    ADD CONSTRAINT account_subject UNIQUE (issuer, subject);

ALTER TABLE ONLY :role.account
    ADD CONSTRAINT account_username UNIQUE (username);

ALTER TABLE ONLY :role.approval
    ADD CONSTRAINT approval_pkey PRIMARY KEY (id);

ALTER TABLE ONLY :role.audit_outbox
    ADD CONSTRAINT audit_outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY :role.client
    ADD CONSTRAINT client_pkey PRIMARY KEY (id);

ALTER TABLE ONLY :role.code
    ADD CONSTRAINT code_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY :role.import_batch
    ADD CONSTRAINT import_batch_pkey PRIMARY KEY (import, file, chunk, part);

ALTER TABLE ONLY :role.import
    ADD CONSTRAINT import_files UNIQUE (files);

ALTER TABLE ONLY :role.import
    ADD CONSTRAINT import_pkey PRIMARY KEY (id);

ALTER TABLE ONLY :role.launch
    ADD CONSTRAINT launch_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY :role.observation_history
    ADD CONSTRAINT observation_history_pkey PRIMARY KEY (id, version);

ALTER TABLE ONLY :role.observation
    ADD CONSTRAINT observation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY :role.patient_history
    ADD CONSTRAINT patient_history_pkey PRIMARY KEY (id, version);

ALTER TABLE ONLY :role.patient
    ADD CONSTRAINT patient_pkey PRIMARY KEY (id);

ALTER TABLE ONLY :role.pushed_request
    ADD CONSTRAINT pushed_request_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY :role.refresh_token
    ADD CONSTRAINT refresh_token_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY :role.registration_token
    ADD CONSTRAINT registration_token_id UNIQUE (id);

ALTER TABLE ONLY :role.registration_token
    ADD CONSTRAINT registration_token_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY :role.seen
    ADD CONSTRAINT seen_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY :role.session
    ADD CONSTRAINT session_id UNIQUE (id);

ALTER TABLE ONLY :role.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (hash);

CREATE INDEX approval_of_account ON :role.approval USING btree (account, created);

CREATE INDEX approval_of_client ON :role.approval USING btree (client);

CREATE INDEX observation_code_date ON :role.observation USING btree (code1, eff_low);

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

CREATE INDEX refresh_token_of_approval ON :role.refresh_token USING btree (approval);

CREATE INDEX seen_expires ON :role.seen USING btree (expires);

ALTER TABLE ONLY :role.approval
    ADD CONSTRAINT approval_account FOREIGN KEY (account) REFERENCES :role.account(id) ON DELETE CASCADE;

ALTER TABLE ONLY :role.approval
    ADD CONSTRAINT approval_client FOREIGN KEY (client) REFERENCES :role.client(id) ON DELETE CASCADE;

ALTER TABLE ONLY :role.code
    ADD CONSTRAINT code_approval FOREIGN KEY (approval) REFERENCES :role.approval(id) ON DELETE CASCADE;

ALTER TABLE ONLY :role.import_batch
    ADD CONSTRAINT import_batch_import FOREIGN KEY (import) REFERENCES :role.import(id) ON DELETE CASCADE;

ALTER TABLE ONLY :role.launch
    ADD CONSTRAINT launch_account FOREIGN KEY (account) REFERENCES :role.account(id) ON DELETE CASCADE;

ALTER TABLE ONLY :role.launch
    ADD CONSTRAINT launch_client FOREIGN KEY (client) REFERENCES :role.client(id) ON DELETE CASCADE;

ALTER TABLE ONLY :role.patient_name
    ADD CONSTRAINT patient_name_id FOREIGN KEY (id) REFERENCES :role.patient(id) ON DELETE CASCADE;

ALTER TABLE ONLY :role.pushed_request
    ADD CONSTRAINT pushed_request_client FOREIGN KEY (client) REFERENCES :role.client(id) ON DELETE CASCADE;

ALTER TABLE ONLY :role.refresh_token
    ADD CONSTRAINT refresh_token_approval FOREIGN KEY (approval) REFERENCES :role.approval(id) ON DELETE CASCADE;

ALTER TABLE ONLY :role.session
    ADD CONSTRAINT session_account FOREIGN KEY (account) REFERENCES :role.account(id) ON DELETE CASCADE;

GRANT USAGE ON SCHEMA :role TO :role;
GRANT USAGE ON SCHEMA :role TO vitals_settle;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.account TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.approval TO :role;

GRANT INSERT ON TABLE :role.audit_outbox TO :role;
GRANT SELECT,DELETE ON TABLE :role.audit_outbox TO vitals_settle;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.client TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.code TO :role;

GRANT SELECT,INSERT,DELETE ON TABLE :role.import TO :role;

GRANT SELECT,INSERT ON TABLE :role.import_batch TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.launch TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.observation TO :role;

GRANT SELECT,INSERT ON TABLE :role.observation_history TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.patient TO :role;

GRANT SELECT,INSERT ON TABLE :role.patient_history TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.patient_name TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.pushed_request TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.refresh_token TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.registration_token TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.seen TO :role;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE :role.session TO :role;
