-- What searches of the trail ask for, as eight-byte hashes of the record's own values (vitals_store::audit::Derived):
-- who, by which program, about which patients, of which resource, under which grant, refused or not. Null in records
-- of before. The lists that fill up between two merges are kept short, so that no insert waits long for one.
ALTER TABLE audit.record ADD COLUMN keys bigint[];
CREATE INDEX record_keys ON audit.record USING gin (keys) WITH (fastupdate = on, gin_pending_list_limit = 512);
