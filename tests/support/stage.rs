//! A server with a vendor beside it, on a database that the test can spoil behind its back.

use modelward::config::DatabaseUrl;
use modelward::domain::secret::SecretText;

use super::database::Database;
use super::ledger::Ledger;
use super::listing::Listing;
use super::load::{Writer, books};
use super::vendor::Vendor;
use super::{Engine, Server};

/// Two, so that one can take the place of the other.
pub const MASTER_KEYS: &str =
    "one:o1rfunDf/cWXVRSBFlFwYq+Rq37dAxaj4gsLBawB80Y=,two:6TeHxv+jR7W1mrZeuwsx47GRv9LW6ehQEnV0w9Sf9Tc=";

/// A server on a database that the test can spoil.
pub struct Stage {
    pub database: Database,
    pub server: Server,
    pub vendor: Vendor,
}

impl Stage {
    pub async fn start(engine: Engine) -> Self {
        let database = Database::new(engine).await;
        let url = match database.url().strip_prefix("sqlite://") {
            Some(path) => DatabaseUrl::Sqlite(path.into()),
            None => DatabaseUrl::Postgres(SecretText::new(database.url().to_owned())),
        };
        let server = Server::start_with(Engine::Sqlite, |settings| {
            settings.database.url = url;
            settings.secrets.master_keys = Some(SecretText::new(MASTER_KEYS.to_owned()));
        })
        .await;
        let vendor = Vendor::start().await;
        vendor.list(&["gpt-4o", "gpt-4o-mini", "o3"]);
        Self { database, server, vendor }
    }

    pub fn writers(&self, count: usize) -> Vec<Writer> {
        let name = |number| format!("w{number}");
        (0..count)
            .map(|number| Writer::new(self.server.admin().clone(), name(number), Some(self.vendor.url())))
            .collect()
    }

    pub async fn shown(&self) -> Listing {
        Listing::read(self.server.admin(), self.server.parts().snapshot.load().head().revision.0).await
    }

    /// Tables, log, memory and callers agree.
    pub async fn agrees(&self, writers: &[Writer], moment: &str) {
        let ledger = Ledger::read(&self.server.parts().store).await;
        let mut complaints = ledger.complaints();
        complaints.extend(ledger.differs_from(&books(writers)));
        complaints.extend(self.shown().await.differences(&ledger.image));
        assert!(complaints.is_empty(), "{moment}: {complaints:#?}");
    }
}
