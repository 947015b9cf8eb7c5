DROP TABLE replicas;
DROP TABLE leases;
DROP TABLE token_status;
DROP TABLE provider_status;
DROP TABLE model_status;
DROP TABLE credential_status;
DROP TABLE endpoint_status;
DROP TABLE status_counter;
