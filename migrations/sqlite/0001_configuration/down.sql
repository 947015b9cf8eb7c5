DROP TABLE keyring;
DROP TABLE cluster;
DROP TABLE tokens;
DROP TABLE models;
DROP TABLE credential_secrets;
DROP TABLE credentials;
DROP TABLE endpoints;
DROP TABLE providers;
