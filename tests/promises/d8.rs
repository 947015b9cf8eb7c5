//! Reads go on while the database is down, slow or hung; writes fail soon and work again soon after.
