ALTER TABLE replicas DROP COLUMN used_key_ids;
