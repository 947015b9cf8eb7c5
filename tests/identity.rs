//! Callers that others vouch for: tokens of issuers, certificates, and files that are replaced under load.

mod authority;
mod discovery;
mod hostile;
mod issuer;
mod jwt;
mod mutual;
mod place;
mod reload;
mod rsa;
