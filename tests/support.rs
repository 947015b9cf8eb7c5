//! What the integration tests share: databases, servers to run on them, a vendor, and what errors look like.

pub mod churn;
pub mod collector;
pub mod database;
pub mod direct;
pub mod disk;
pub mod dynamic;
pub mod follower;
pub mod frames;
pub mod keeper;
pub mod ledger;
pub mod listing;
pub mod load;
pub mod pair;
pub mod patroni;
pub mod place;
pub mod postgres;
pub mod primary;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod recorder;
pub mod refusal;
pub mod resources;
pub mod scrape;
pub mod server;
pub mod simulator;
pub mod stage;
pub mod vendor;
pub mod wait;
pub mod watching;
pub mod witness;

pub use modelward::store::Engine;
pub use refusal::{Refusal, Refused};
pub use server::Server;
pub use wait::{eventually, within};

/// Runs every test on both databases, each on a server of its own: `module::sqlite::name` and `module::postgres::name`.
macro_rules! for_each_engine {
    ($($(#[$attribute:meta])* async fn $name:ident($server:ident: &Server) $body:block)+) => {
        mod cases {
            #[allow(unused_imports, reason = "not every subject needs everything")]
            use super::*;
            $($(#[$attribute])* pub(super) async fn $name($server: &Server) $body)+
        }
        mod sqlite {
            use crate::support::{Engine, Server};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = Server::start(Engine::Sqlite).await;
                super::cases::$name(&server).await;
            })+
        }
        mod postgres {
            use crate::support::{Engine, Server};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = Server::start(Engine::Postgres).await;
                super::cases::$name(&server).await;
            })+
        }
    };
}
pub(crate) use for_each_engine;
