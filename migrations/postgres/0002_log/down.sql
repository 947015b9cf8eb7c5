DROP TABLE request_ids;
DROP TABLE revision_counter;
DROP TABLE changes;
