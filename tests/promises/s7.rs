//! Every configuration change has its record in the same transaction.
