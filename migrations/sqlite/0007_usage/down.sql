-- Destroys the record of secrets that were handed out, and what was counted by day and by month.

DROP TABLE secret_use;

ALTER TABLE credential_status DROP COLUMN usage_day_start;
ALTER TABLE credential_status DROP COLUMN usage_day_requests;
ALTER TABLE credential_status DROP COLUMN usage_day_tokens;
ALTER TABLE credential_status DROP COLUMN usage_month_start;
ALTER TABLE credential_status DROP COLUMN usage_month_requests;
ALTER TABLE credential_status DROP COLUMN usage_month_tokens;
ALTER TABLE credential_status ADD COLUMN usage_used INTEGER;
ALTER TABLE credential_status ADD COLUMN usage_window_start_time INTEGER;
