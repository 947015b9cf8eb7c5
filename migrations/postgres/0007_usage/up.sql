-- Uses are counted by day and by month, whatever quota there is; nothing was ever written to the columns that go.

ALTER TABLE credential_status
    DROP COLUMN usage_used,
    DROP COLUMN usage_window_start_time,
    ADD COLUMN usage_day_start TIMESTAMPTZ,
    ADD COLUMN usage_day_requests BIGINT,
    ADD COLUMN usage_day_tokens BIGINT,
    ADD COLUMN usage_month_start TIMESTAMPTZ,
    ADD COLUMN usage_month_requests BIGINT,
    ADD COLUMN usage_month_tokens BIGINT;
COMMENT ON COLUMN credential_status.usage_day_start IS 'The last day (UTC) with a use.';
COMMENT ON COLUMN credential_status.usage_day_requests IS 'Requests on that day.';
COMMENT ON COLUMN credential_status.usage_day_tokens IS 'Tokens on that day.';
COMMENT ON COLUMN credential_status.usage_month_start IS 'The last month (UTC) with a use.';
COMMENT ON COLUMN credential_status.usage_month_requests IS 'Requests in that month.';
COMMENT ON COLUMN credential_status.usage_month_tokens IS 'Tokens in that month.';

CREATE TABLE secret_use (
    credential_id UUID NOT NULL,
    secret_version BIGINT NOT NULL,
    identity TEXT COLLATE "C" NOT NULL,
    rpc TEXT COLLATE "C" NOT NULL,
    hour TIMESTAMPTZ NOT NULL,
    uses BIGINT NOT NULL,
    first_use_time TIMESTAMPTZ NOT NULL,
    last_use_time TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (credential_id, secret_version, identity, rpc, hour)
);
COMMENT ON TABLE secret_use IS 'Which identity got which secret how often, by the hour. No foreign keys: it outlives what it tells of.';
COMMENT ON COLUMN secret_use.credential_id IS 'The credential.';
COMMENT ON COLUMN secret_use.secret_version IS 'The version of its secret.';
COMMENT ON COLUMN secret_use.identity IS 'The name of the token or identity; "system" for the server itself.';
COMMENT ON COLUMN secret_use.rpc IS 'The method for which the secret was opened.';
COMMENT ON COLUMN secret_use.hour IS 'When the hour began, UTC.';
COMMENT ON COLUMN secret_use.uses IS 'How often in that hour.';
COMMENT ON COLUMN secret_use.first_use_time IS 'When it was first in that hour.';
COMMENT ON COLUMN secret_use.last_use_time IS 'When it was last in that hour.';
CREATE INDEX secret_use_hour ON secret_use (hour);
