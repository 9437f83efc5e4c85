-- What somebody who knows the format would do to be found out by nobody: makes answers of a chain that found nothing
-- into some that did, and works out all hashes anew, so that the chain holds in itself. CHAIN stands for the chain.
CREATE TEMP TABLE changed (was bytea PRIMARY KEY, is_now bytea);
DO $$
DECLARE
    r record;
    before bytea;
    text_now text;
    hash_now bytea;
BEGIN
    FOR r IN
        SELECT time, writer, sequence, record, previous, hash FROM audit.record
        WHERE chain = 'CHAIN' ORDER BY time, writer, sequence
    LOOP
        SELECT is_now INTO before FROM changed WHERE was = r.previous;
        before := coalesce(before, r.previous);
        text_now := replace(r.record, '"status":404', '"status":200');
        hash_now := sha256(before || convert_to(text_now, 'UTF8'));
        UPDATE audit.record SET record = text_now, previous = before, hash = hash_now
        WHERE chain = 'CHAIN' AND time = r.time AND writer = r.writer AND sequence = r.sequence;
        INSERT INTO changed VALUES (r.hash, hash_now);
    END LOOP;
END
$$;
