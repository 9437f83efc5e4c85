-- The tenant's own authorization server: who may ask for tokens, and what was approved. Everything secret is here as a hash
-- only (base64url of SHA-256; passwords Argon2id). What has run out is removed when something like it is added.

-- Apps and services that may ask for tokens.
CREATE TABLE client (
    id text COLLATE "C" CONSTRAINT client_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT client_tenant CHECK (tenant = :tenant),
    name text NOT NULL,
    authentication text COLLATE "C" NOT NULL CONSTRAINT client_authentication CHECK (authentication IN
        ('none', 'client_secret', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth')),
    secret text COLLATE "C",
    jwks text,
    jwks_url text,
    certificate text COLLATE "C",
    redirect_uris text[] COLLATE "C" NOT NULL DEFAULT '{}',
    launch_uri text COLLATE "C",
    scopes text[] COLLATE "C" NOT NULL,
    ehr boolean NOT NULL DEFAULT false,
    require_proof boolean NOT NULL DEFAULT false,
    metadata text NOT NULL DEFAULT '{}',
    registered_by text NOT NULL,
    created timestamptz(3) NOT NULL,
    revoked timestamptz(3)
);

-- People who sign in. username is as people type it, folded; an account of an outside provider has issuer and subject.
CREATE TABLE account (
    id text COLLATE "C" CONSTRAINT account_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT account_tenant CHECK (tenant = :tenant),
    username text COLLATE "C" NOT NULL CONSTRAINT account_username UNIQUE,
    name text NOT NULL,
    password text,
    issuer text COLLATE "C",
    subject text COLLATE "C",
    fhir_user text COLLATE "C",
    patients text[] COLLATE "C" NOT NULL DEFAULT '{}',
    scopes text[] COLLATE "C" NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    locked_until timestamptz(3),
    created timestamptz(3) NOT NULL,
    revoked timestamptz(3),
    CONSTRAINT account_subject UNIQUE (issuer, subject)
);

-- People who are signed in.
CREATE TABLE session (
    hash text COLLATE "C" CONSTRAINT session_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT session_tenant CHECK (tenant = :tenant),
    id text COLLATE "C" NOT NULL CONSTRAINT session_id UNIQUE,
    account text COLLATE "C" NOT NULL CONSTRAINT session_account REFERENCES account (id) ON DELETE CASCADE,
    address text,
    created timestamptz(3) NOT NULL,
    seen timestamptz(3) NOT NULL,
    expires timestamptz(3) NOT NULL
);

-- What was approved: by a person for an app, or once for each run of a service. Its tokens and codes hang on it.
CREATE TABLE approval (
    id text COLLATE "C" CONSTRAINT approval_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT approval_tenant CHECK (tenant = :tenant),
    client text COLLATE "C" NOT NULL CONSTRAINT approval_client REFERENCES client (id) ON DELETE CASCADE,
    account text COLLATE "C" NOT NULL CONSTRAINT approval_account REFERENCES account (id) ON DELETE CASCADE,
    session text COLLATE "C",
    scopes text[] COLLATE "C" NOT NULL,
    context text NOT NULL,
    refresh text COLLATE "C" NOT NULL CONSTRAINT approval_refresh CHECK (refresh IN ('none', 'online', 'offline')),
    created timestamptz(3) NOT NULL,
    expires timestamptz(3) NOT NULL,
    ended timestamptz(3)
);
CREATE INDEX approval_of_account ON approval (account, created);
CREATE INDEX approval_of_client ON approval (client);

-- Authorization codes: good once, for a minute. A used one stays until it would have ended, so that a second use shows.
CREATE TABLE code (
    hash text COLLATE "C" CONSTRAINT code_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT code_tenant CHECK (tenant = :tenant),
    approval text COLLATE "C" NOT NULL CONSTRAINT code_approval REFERENCES approval (id) ON DELETE CASCADE,
    redirect_uri text COLLATE "C" NOT NULL,
    challenge text COLLATE "C" NOT NULL,
    nonce text,
    jkt text COLLATE "C",
    expires timestamptz(3) NOT NULL,
    used timestamptz(3)
);

-- Refresh tokens: each good once; the use of a replaced one ends its approval.
CREATE TABLE refresh_token (
    hash text COLLATE "C" CONSTRAINT refresh_token_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT refresh_token_tenant CHECK (tenant = :tenant),
    approval text COLLATE "C" NOT NULL CONSTRAINT refresh_token_approval REFERENCES approval (id) ON DELETE CASCADE,
    jkt text COLLATE "C",
    created timestamptz(3) NOT NULL,
    expires timestamptz(3) NOT NULL,
    used timestamptz(3)
);
CREATE INDEX refresh_token_of_approval ON refresh_token (approval);

-- Launches an EHR announced: for one app and one user, good once, for minutes.
CREATE TABLE launch (
    hash text COLLATE "C" CONSTRAINT launch_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT launch_tenant CHECK (tenant = :tenant),
    client text COLLATE "C" NOT NULL CONSTRAINT launch_client REFERENCES client (id) ON DELETE CASCADE,
    account text COLLATE "C" NOT NULL CONSTRAINT launch_account REFERENCES account (id) ON DELETE CASCADE,
    context text NOT NULL,
    expires timestamptz(3) NOT NULL,
    used timestamptz(3)
);

-- Authorization requests that clients pushed ahead (RFC 9126).
CREATE TABLE pushed_request (
    hash text COLLATE "C" CONSTRAINT pushed_request_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT pushed_request_tenant CHECK (tenant = :tenant),
    client text COLLATE "C" NOT NULL CONSTRAINT pushed_request_client REFERENCES client (id) ON DELETE CASCADE,
    parameters text NOT NULL,
    expires timestamptz(3) NOT NULL,
    used timestamptz(3)
);

-- What is good once and was seen: ids of client assertions and of DPoP proofs, hashed with what they belong to.
CREATE TABLE seen (
    hash text COLLATE "C" CONSTRAINT seen_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT seen_tenant CHECK (tenant = :tenant),
    expires timestamptz(3) NOT NULL
);
CREATE INDEX seen_expires ON seen (expires);

-- Initial access tokens for dynamic registration (RFC 7591).
CREATE TABLE registration_token (
    hash text COLLATE "C" CONSTRAINT registration_token_pkey PRIMARY KEY,
    tenant integer NOT NULL DEFAULT :tenant CONSTRAINT registration_token_tenant CHECK (tenant = :tenant),
    id text COLLATE "C" NOT NULL CONSTRAINT registration_token_id UNIQUE,
    scopes text[] COLLATE "C" NOT NULL,
    created timestamptz(3) NOT NULL,
    expires timestamptz(3) NOT NULL,
    revoked timestamptz(3)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON
    client, account, session, approval, code, refresh_token, launch, pushed_request, seen, registration_token TO :role;
