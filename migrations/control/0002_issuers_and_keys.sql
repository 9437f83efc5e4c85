-- Token issuers of outside identity providers. A tenant's own issuer is its address and its rows in control.key.
-- Tokens are compared with url as it stands; canonical is what all spellings of one address have in common.
CREATE TABLE control.issuer (
    url text COLLATE "C" PRIMARY KEY,
    canonical text COLLATE "C" NOT NULL CONSTRAINT issuer_canonical UNIQUE,
    jwks text,
    jwks_url text,
    strict boolean NOT NULL DEFAULT false,
    max_lifetime_s integer NOT NULL DEFAULT 86400 CONSTRAINT issuer_lifetime CHECK (max_lifetime_s > 0),
    may_set_tier boolean NOT NULL DEFAULT false,
    created timestamptz(3) NOT NULL,
    CONSTRAINT issuer_keys CHECK ((jwks IS NULL) <> (jwks_url IS NULL))
);

CREATE TABLE control.issuer_tenant (
    issuer text COLLATE "C" NOT NULL REFERENCES control.issuer (url) ON DELETE CASCADE,
    tenant text COLLATE "C" NOT NULL REFERENCES control.tenant (role) ON DELETE CASCADE,
    PRIMARY KEY (issuer, tenant)
);

-- A tenant's own signing keys; the private part is sealed under the master key.
CREATE TABLE control.key (
    tenant text COLLATE "C" NOT NULL REFERENCES control.tenant (role) ON DELETE CASCADE,
    kid text COLLATE "C" NOT NULL,
    algorithm text COLLATE "C" NOT NULL,
    public_jwk text NOT NULL,
    sealed_private bytea NOT NULL,
    created timestamptz(3) NOT NULL,
    retired timestamptz(3),
    PRIMARY KEY (tenant, kid)
);
