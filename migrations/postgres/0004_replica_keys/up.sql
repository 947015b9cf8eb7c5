ALTER TABLE replicas ADD COLUMN used_key_ids JSON;
COMMENT ON COLUMN replicas.used_key_ids IS 'JSON array: ids of the master keys that wrap the secrets in its memory; null: it does not tell.';
