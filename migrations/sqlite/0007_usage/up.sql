-- Uses are counted by day and by month (UTC), whatever quota there is; nothing was ever written to the columns that go.

ALTER TABLE credential_status DROP COLUMN usage_used;
ALTER TABLE credential_status DROP COLUMN usage_window_start_time;
ALTER TABLE credential_status ADD COLUMN usage_day_start INTEGER;
ALTER TABLE credential_status ADD COLUMN usage_day_requests INTEGER;
ALTER TABLE credential_status ADD COLUMN usage_day_tokens INTEGER;
ALTER TABLE credential_status ADD COLUMN usage_month_start INTEGER;
ALTER TABLE credential_status ADD COLUMN usage_month_requests INTEGER;
ALTER TABLE credential_status ADD COLUMN usage_month_tokens INTEGER;

-- Which identity got which secret how often, by the hour. No foreign keys: it outlives what it tells of.
CREATE TABLE secret_use (
    credential_id BLOB NOT NULL CHECK (length(credential_id) = 16),
    secret_version INTEGER NOT NULL,
    identity TEXT NOT NULL,
    rpc TEXT NOT NULL,
    hour INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    first_use_time INTEGER NOT NULL,
    last_use_time INTEGER NOT NULL,
    PRIMARY KEY (credential_id, secret_version, identity, rpc, hour)
) STRICT;
CREATE INDEX secret_use_hour ON secret_use (hour);
