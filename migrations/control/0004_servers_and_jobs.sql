-- Running servers: their address for the command line, and how far each has read the change log.
CREATE TABLE control.server (
    writer bigint PRIMARY KEY,
    public_url text NOT NULL,
    started timestamptz(3) NOT NULL,
    seen timestamptz(3) NOT NULL,
    change_seq bigint NOT NULL
);

-- Which tenants may hold audit records that a writer has not yet moved to the audit database.
CREATE TABLE control.unsettled (
    writer bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    PRIMARY KEY (writer, tenant)
);

-- Work done on a tenant's behalf without a token; the row is the authority a job acts under.
CREATE TABLE control.job (
    id uuid PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL REFERENCES control.tenant (role) ON DELETE CASCADE,
    kind text COLLATE "C" NOT NULL,
    subject text NOT NULL,
    scopes text NOT NULL,
    created timestamptz(3) NOT NULL,
    finished timestamptz(3)
);
