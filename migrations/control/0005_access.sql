-- What a tenant has switched on, as JSON.
ALTER TABLE control.tenant ADD COLUMN settings text NOT NULL DEFAULT '{}';

-- What was taken back before it ended: a token (jti), or every token issued until then to a client, for a user, under an
-- approval or a session, or of the whole tenant (subject *). A row is of no use once such tokens have run out.
CREATE TABLE control.revocation (
    tenant text COLLATE "C" NOT NULL REFERENCES control.tenant (role) ON DELETE CASCADE,
    kind text COLLATE "C" NOT NULL CONSTRAINT revocation_kind CHECK (kind IN
        ('token', 'client', 'user', 'approval', 'session', 'tenant')),
    subject text COLLATE "C" NOT NULL,
    at timestamptz(3) NOT NULL,
    expires timestamptz(3) NOT NULL,
    PRIMARY KEY (tenant, kind, subject)
);

-- Keys for development, as SHA-256.
CREATE TABLE control.api_key (
    tenant text COLLATE "C" NOT NULL REFERENCES control.tenant (role) ON DELETE CASCADE,
    id text COLLATE "C" NOT NULL,
    hash bytea NOT NULL CONSTRAINT api_key_hash UNIQUE,
    name text NOT NULL,
    scopes text NOT NULL,
    patient text COLLATE "C",
    created timestamptz(3) NOT NULL,
    created_by text NOT NULL,
    expires timestamptz(3) NOT NULL,
    last_used timestamptz(3),
    revoked timestamptz(3),
    PRIMARY KEY (tenant, id)
);

-- Origins of the apps that clients of a tenant registered: whose pages may read its answers.
CREATE TABLE control.origin (
    tenant text COLLATE "C" NOT NULL REFERENCES control.tenant (role) ON DELETE CASCADE,
    client text COLLATE "C" NOT NULL,
    origin text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, client, origin)
);

-- Self-signed certificates that clients registered: the only ones a handshake takes without a CA.
CREATE TABLE control.certificate (
    tenant text COLLATE "C" NOT NULL REFERENCES control.tenant (role) ON DELETE CASCADE,
    client text COLLATE "C" NOT NULL,
    thumbprint text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, client, thumbprint)
);

-- How the tokens of an outside issuer are read, as JSON, and which algorithms it may use (none: all).
ALTER TABLE control.issuer ADD COLUMN mapping text NOT NULL DEFAULT '{}';
ALTER TABLE control.issuer ADD COLUMN algorithms text[] COLLATE "C";
