//! A ciphertext cannot be moved, altered or downgraded.
