-- Destroys the record of secrets that were handed out, and what was counted by day and by month.

DROP TABLE secret_use;

ALTER TABLE credential_status
    DROP COLUMN usage_day_start,
    DROP COLUMN usage_day_requests,
    DROP COLUMN usage_day_tokens,
    DROP COLUMN usage_month_start,
    DROP COLUMN usage_month_requests,
    DROP COLUMN usage_month_tokens,
    ADD COLUMN usage_used BIGINT,
    ADD COLUMN usage_window_start_time TIMESTAMPTZ;
COMMENT ON COLUMN credential_status.usage_used IS 'Used of the quota, in its unit, in the current window.';
COMMENT ON COLUMN credential_status.usage_window_start_time IS 'When the current window began.';
