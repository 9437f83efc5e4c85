INSERT INTO audit.migration AS m
    (scope, tenant, version, description, checksum, state, error, duration_ms, applied_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (scope, tenant, version) DO UPDATE
SET description = EXCLUDED.description,
    checksum = EXCLUDED.checksum,
    state = EXCLUDED.state,
    error = EXCLUDED.error,
    duration_ms = EXCLUDED.duration_ms,
    applied_at = EXCLUDED.applied_at
WHERE m.state = 'failed'
