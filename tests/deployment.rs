//! What operators do to servers, and what machines do to them: pods are exchanged under load, many start at once, disks
//! run full.

mod disk;
mod rolling;
mod together;
