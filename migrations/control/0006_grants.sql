-- What one tenant (the grantor) lets another (the grantee) read. A grant is never changed but to end it, and ends once;
-- it goes with either tenant.
CREATE TABLE control.grant (
    id uuid PRIMARY KEY,
    grantor text COLLATE "C" NOT NULL CONSTRAINT grant_grantor REFERENCES control.tenant (role) ON DELETE CASCADE,
    grantee text COLLATE "C" NOT NULL CONSTRAINT grant_grantee REFERENCES control.tenant (role) ON DELETE CASCADE,
    scopes text[] COLLATE "C" NOT NULL,
    purpose text COLLATE "C" NOT NULL,
    note text,
    not_before timestamptz(3) NOT NULL,
    expires timestamptz(3) NOT NULL,
    created timestamptz(3) NOT NULL,
    created_by text NOT NULL,
    revoked timestamptz(3),
    revoked_by text,
    CONSTRAINT grant_parties CHECK (grantor <> grantee),
    CONSTRAINT grant_scopes CHECK (cardinality(scopes) BETWEEN 1 AND 64),
    CONSTRAINT grant_time CHECK (expires > not_before),
    CONSTRAINT grant_revoked CHECK ((revoked IS NULL) = (revoked_by IS NULL))
);

CREATE INDEX grant_by_grantor ON control.grant (grantor, created);
CREATE INDEX grant_by_grantee ON control.grant (grantee, created);
