-- A shortened log can no longer be verified then.
DROP TABLE log_anchor;
DROP INDEX changes_time;
DROP INDEX changes_request;
DROP INDEX changes_actor;
DROP INDEX changes_kind;
