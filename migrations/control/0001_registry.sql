-- The registry of tenants, and the schema everything the server shares lives in.
CREATE TABLE control.tenant (
    role text COLLATE "C" PRIMARY KEY CONSTRAINT tenant_role_form CHECK (role ~ '^t_[a-z2-7]{26}$'),
    number integer GENERATED ALWAYS AS IDENTITY CONSTRAINT tenant_number UNIQUE,
    name text COLLATE "C" NOT NULL CONSTRAINT tenant_name UNIQUE,
    display text NOT NULL,
    status text COLLATE "C" NOT NULL DEFAULT 'active' CONSTRAINT tenant_status CHECK (status IN ('active', 'suspended')),
    isolation text COLLATE "C" NOT NULL DEFAULT 'schema' CONSTRAINT tenant_isolation CHECK (isolation IN ('schema', 'database', 'pooled')),
    tier text COLLATE "C" NOT NULL DEFAULT 'default',
    login smallint NOT NULL,
    version integer NOT NULL,
    created timestamptz(3) NOT NULL
);

-- Roles made ahead of the tenants that will use them; the login role of each is its slot among the serving logins.
CREATE TABLE control.spare_role (
    role text COLLATE "C" PRIMARY KEY CONSTRAINT spare_role_form CHECK (role ~ '^t_[a-z2-7]{26}$'),
    login smallint NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'spare' CONSTRAINT spare_role_state CHECK (state IN ('spare', 'discarded')),
    created timestamptz(3) NOT NULL
);

-- Login roles that serve; slot 0 is the one named in the database URL.
CREATE TABLE control.login_role (
    slot smallint PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT login_role_name UNIQUE
);
