ALTER TABLE replicas ADD COLUMN used_key_ids TEXT;
