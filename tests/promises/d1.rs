//! An acknowledged write survives kill -9 of the process, and was on disk before its answer.
