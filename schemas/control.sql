CREATE SCHEMA control;

ALTER SCHEMA control OWNER TO vitals_owner;

CREATE TABLE control.api_key (
    tenant text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    hash bytea NOT NULL,
    name text NOT NULL,
    scopes text NOT NULL,
    patient text COLLATE pg_catalog."C",
    created timestamp(3) with time zone NOT NULL,
    created_by text NOT NULL,
    expires timestamp(3) with time zone NOT NULL,
    last_used timestamp(3) with time zone,
    revoked timestamp(3) with time zone
);

ALTER TABLE control.api_key OWNER TO vitals_owner;

CREATE TABLE control.certificate (
    tenant text NOT NULL COLLATE pg_catalog."C",
    client text NOT NULL COLLATE pg_catalog."C",
    thumbprint text NOT NULL COLLATE pg_catalog."C"
);

ALTER TABLE control.certificate OWNER TO vitals_owner;

CREATE TABLE control.change (
    seq bigint NOT NULL,
    tenant text COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    at timestamp(3) with time zone NOT NULL
);

ALTER TABLE control.change OWNER TO vitals_owner;

ALTER TABLE control.change ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME control.change_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE control."grant" (
    id uuid NOT NULL,
    grantor text NOT NULL COLLATE pg_catalog."C",
    grantee text NOT NULL COLLATE pg_catalog."C",
    scopes text[] NOT NULL COLLATE pg_catalog."C",
    purpose text NOT NULL COLLATE pg_catalog."C",
    note text,
    not_before timestamp(3) with time zone NOT NULL,
    expires timestamp(3) with time zone NOT NULL,
    created timestamp(3) with time zone NOT NULL,
    created_by text NOT NULL,
    revoked timestamp(3) with time zone,
    revoked_by text,
    CONSTRAINT grant_parties CHECK ((grantor <> grantee)),
    CONSTRAINT grant_revoked CHECK (((revoked IS NULL) = (revoked_by IS NULL))),
    CONSTRAINT grant_scopes CHECK (((cardinality(scopes) >= 1) AND (cardinality(scopes) <= 64))),
    CONSTRAINT grant_time CHECK ((expires > not_before))
);

ALTER TABLE control."grant" OWNER TO vitals_owner;

CREATE TABLE control.issuer (
    url text NOT NULL COLLATE pg_catalog."C",
    canonical text NOT NULL COLLATE pg_catalog."C",
    jwks text,
    jwks_url text,
    strict boolean DEFAULT false NOT NULL,
    max_lifetime_s integer DEFAULT 86400 NOT NULL,
    may_set_tier boolean DEFAULT false NOT NULL,
    created timestamp(3) with time zone NOT NULL,
    mapping text DEFAULT '{}'::text NOT NULL,
    algorithms text[] COLLATE pg_catalog."C",
    CONSTRAINT issuer_keys CHECK (((jwks IS NULL) <> (jwks_url IS NULL))),
    CONSTRAINT issuer_lifetime CHECK ((max_lifetime_s > 0))
);

ALTER TABLE control.issuer OWNER TO vitals_owner;

CREATE TABLE control.issuer_tenant (
    issuer text NOT NULL COLLATE pg_catalog."C",
    tenant text NOT NULL COLLATE pg_catalog."C"
);

ALTER TABLE control.issuer_tenant OWNER TO vitals_owner;

CREATE TABLE control.job (
    id uuid NOT NULL,
    tenant text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL,
    scopes text NOT NULL,
    created timestamp(3) with time zone NOT NULL,
    finished timestamp(3) with time zone
);

ALTER TABLE control.job OWNER TO vitals_owner;

CREATE TABLE control.key (
    tenant text NOT NULL COLLATE pg_catalog."C",
    kid text NOT NULL COLLATE pg_catalog."C",
    algorithm text NOT NULL COLLATE pg_catalog."C",
    public_jwk text NOT NULL,
    sealed_private bytea NOT NULL,
    created timestamp(3) with time zone NOT NULL,
    retired timestamp(3) with time zone
);

ALTER TABLE control.key OWNER TO vitals_owner;

CREATE TABLE control.login_role (
    slot smallint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C"
);

ALTER TABLE control.login_role OWNER TO vitals_owner;

CREATE TABLE control.migration (
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

ALTER TABLE control.migration OWNER TO vitals_owner;

CREATE TABLE control.origin (
    tenant text NOT NULL COLLATE pg_catalog."C",
    client text NOT NULL COLLATE pg_catalog."C",
    origin text NOT NULL COLLATE pg_catalog."C"
);

ALTER TABLE control.origin OWNER TO vitals_owner;

CREATE TABLE control.revocation (
    tenant text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    at timestamp(3) with time zone NOT NULL,
    expires timestamp(3) with time zone NOT NULL,
    CONSTRAINT revocation_kind CHECK ((kind = ANY (ARRAY['token'::text, 'client'::text, 'user'::text, 'approval'::text, 'session'::text, 'tenant'::text])))
);

ALTER TABLE control.revocation OWNER TO vitals_owner;

CREATE TABLE control.server (
    writer bigint NOT NULL,
    public_url text NOT NULL,
    started timestamp(3) with time zone NOT NULL,
    seen timestamp(3) with time zone NOT NULL,
    change_seq bigint NOT NULL
);

ALTER TABLE control.server OWNER TO vitals_owner;

CREATE TABLE control.spare_role (
    role text NOT NULL COLLATE pg_catalog."C",
    login smallint NOT NULL,
    state text DEFAULT 'spare'::text NOT NULL COLLATE pg_catalog."C",
    created timestamp(3) with time zone NOT NULL,
    CONSTRAINT spare_role_form CHECK ((role ~ '^t_[a-z2-7]{26}$'::text)),
    CONSTRAINT spare_role_state CHECK ((state = ANY (ARRAY['spare'::text, 'discarded'::text])))
);

ALTER TABLE control.spare_role OWNER TO vitals_owner;

CREATE TABLE control.tenant (
    role text NOT NULL COLLATE pg_catalog."C",
    number integer NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    display text NOT NULL,
    status text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C",
    isolation text DEFAULT 'schema'::text NOT NULL COLLATE pg_catalog."C",
    tier text DEFAULT 'default'::text NOT NULL COLLATE pg_catalog."C",
    login smallint NOT NULL,
    version integer NOT NULL,
    created timestamp(3) with time zone NOT NULL,
    settings text DEFAULT '{}'::text NOT NULL,
    CONSTRAINT tenant_isolation CHECK ((isolation = ANY (ARRAY['schema'::text, 'database'::text, 'pooled'::text]))),
    CONSTRAINT tenant_role_form CHECK ((role ~ '^t_[a-z2-7]{26}$'::text)),
    CONSTRAINT tenant_status CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text])))
);

ALTER TABLE control.tenant OWNER TO vitals_owner;

ALTER TABLE control.tenant ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME control.tenant_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE control.unsettled (
    writer bigint NOT NULL,
    tenant text NOT NULL COLLATE pg_catalog."C"
);

ALTER TABLE control.unsettled OWNER TO vitals_owner;

ALTER TABLE ONLY control.api_key
    ADD CONSTRAINT api_key_hash UNIQUE (hash);

ALTER TABLE ONLY control.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (tenant, id);

ALTER TABLE ONLY control.certificate
    ADD CONSTRAINT certificate_pkey PRIMARY KEY (tenant, client, thumbprint);

ALTER TABLE ONLY control.change
    ADD CONSTRAINT change_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY control."grant"
    ADD CONSTRAINT grant_pkey PRIMARY KEY (id);

ALTER TABLE ONLY control.issuer
    ADD CONSTRAINT issuer_canonical UNIQUE (canonical);

ALTER TABLE ONLY control.issuer
    ADD CONSTRAINT issuer_pkey PRIMARY KEY (url);

ALTER TABLE ONLY control.issuer_tenant
    ADD CONSTRAINT issuer_tenant_pkey PRIMARY KEY (issuer, tenant);

ALTER TABLE ONLY control.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);

ALTER TABLE ONLY control.key
    ADD CONSTRAINT key_pkey PRIMARY KEY (tenant, kid);

ALTER TABLE ONLY control.login_role
    ADD CONSTRAINT login_role_name UNIQUE (name);

ALTER TABLE ONLY control.login_role
    ADD CONSTRAINT login_role_pkey PRIMARY KEY (slot);

ALTER TABLE ONLY control.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (scope, tenant, version);

ALTER TABLE ONLY control.origin
    ADD CONSTRAINT origin_pkey PRIMARY KEY (tenant, client, origin);

ALTER TABLE ONLY control.revocation
    ADD CONSTRAINT revocation_pkey PRIMARY KEY (tenant, kind, subject);

ALTER TABLE ONLY control.server
    ADD CONSTRAINT server_pkey PRIMARY KEY (writer);

ALTER TABLE ONLY control.spare_role
    ADD CONSTRAINT spare_role_pkey PRIMARY KEY (role);

ALTER TABLE ONLY control.tenant
    ADD CONSTRAINT tenant_name UNIQUE (name);

ALTER TABLE ONLY control.tenant
    ADD CONSTRAINT tenant_number UNIQUE (number);

ALTER TABLE ONLY control.tenant
    ADD CONSTRAINT tenant_pkey PRIMARY KEY (role);

ALTER TABLE ONLY control.unsettled
    ADD CONSTRAINT unsettled_pkey PRIMARY KEY (writer, tenant);

CREATE INDEX grant_by_grantee ON control."grant" USING btree (grantee, created);

CREATE INDEX grant_by_grantor ON control."grant" USING btree (grantor, created);

ALTER TABLE ONLY control.api_key
    ADD CONSTRAINT api_key_tenant_fkey FOREIGN KEY (tenant) REFERENCES control.tenant(role) ON DELETE CASCADE;

ALTER TABLE ONLY control.certificate
    ADD CONSTRAINT certificate_tenant_fkey FOREIGN KEY (tenant) REFERENCES control.tenant(role) ON DELETE CASCADE;

ALTER TABLE ONLY control."grant"
    ADD CONSTRAINT grant_grantee FOREIGN KEY (grantee) REFERENCES control.tenant(role) ON DELETE CASCADE;

ALTER TABLE ONLY control."grant"
    ADD CONSTRAINT grant_grantor FOREIGN KEY (grantor) REFERENCES control.tenant(role) ON DELETE CASCADE;

ALTER TABLE ONLY control.issuer_tenant
    ADD CONSTRAINT issuer_tenant_issuer_fkey FOREIGN KEY (issuer) REFERENCES control.issuer(url) ON DELETE CASCADE;

ALTER TABLE ONLY control.issuer_tenant
    ADD CONSTRAINT issuer_tenant_tenant_fkey FOREIGN KEY (tenant) REFERENCES control.tenant(role) ON DELETE CASCADE;

ALTER TABLE ONLY control.job
    ADD CONSTRAINT job_tenant_fkey FOREIGN KEY (tenant) REFERENCES control.tenant(role) ON DELETE CASCADE;

ALTER TABLE ONLY control.key
    ADD CONSTRAINT key_tenant_fkey FOREIGN KEY (tenant) REFERENCES control.tenant(role) ON DELETE CASCADE;

ALTER TABLE ONLY control.origin
    ADD CONSTRAINT origin_tenant_fkey FOREIGN KEY (tenant) REFERENCES control.tenant(role) ON DELETE CASCADE;

ALTER TABLE ONLY control.revocation
    ADD CONSTRAINT revocation_tenant_fkey FOREIGN KEY (tenant) REFERENCES control.tenant(role) ON DELETE CASCADE;
