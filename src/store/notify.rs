//! Hints that something was committed elsewhere: `LISTEN` on a connection of its own.
//!
//! A hint may be lost, doubled or late; the reader's own poll is the truth. After a connection was lost the next one
//! begins with a hint, since anything may have happened meanwhile.

use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::timeout;

use super::error::{Result, StoreError};
use super::{Backing, Store};

/// What may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    Changes,
    Status,
    /// The connection is new: either may have.
    Any,
}

const LISTEN: &str = "LISTEN modelward_changes; LISTEN modelward_status";
/// A database that takes longer to listen counts as lost: a frozen one still acknowledges TCP.
const LIMIT: Duration = Duration::from_secs(5);
/// Between attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// Hints from the database. SQLite gives none: only this process writes it.
pub struct Notifications {
    store: Store,
    state: State,
}

enum State {
    Connecting(BoxFuture<'static, Result<Option<Box<AsyncPgConnection>>>>),
    Listening(Box<AsyncPgConnection>),
    Silent,
}

impl Store {
    #[must_use]
    pub fn notifications(&self) -> Notifications {
        let state = match &*self.backing {
            Backing::Postgres(_) => State::Connecting(listen(self.clone(), Duration::ZERO)),
            Backing::Sqlite(_) => State::Silent,
        };
        Notifications { store: self.clone(), state }
    }
}

fn listen(store: Store, pause: Duration) -> BoxFuture<'static, Result<Option<Box<AsyncPgConnection>>>> {
    async move {
        tokio::time::sleep(pause).await;
        let mut conn = store.own_connection().await?;
        if let Some(conn) = &mut conn {
            let late = |_| StoreError::unavailable("it did not listen in time");
            timeout(LIMIT, conn.batch_execute(LISTEN)).await.map_err(late)??;
        }
        Ok(conn)
    }
    .boxed()
}

/// The next notification; none when the connection ended.
async fn next(conn: &mut AsyncPgConnection) -> Option<Hint> {
    let notification = std::pin::pin!(conn.notifications_stream()).next().await?.ok()?;
    Some(if notification.channel == "modelward_status" { Hint::Status } else { Hint::Changes })
}

impl Notifications {
    /// Waits for the next hint; connects and reconnects meanwhile. Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Hint {
        loop {
            match &mut self.state {
                State::Silent => std::future::pending::<()>().await,
                State::Connecting(opening) => match opening.await {
                    Ok(Some(conn)) => {
                        self.state = State::Listening(conn);
                        return Hint::Any;
                    }
                    Ok(None) => self.state = State::Silent,
                    // Whoever writes or reads meets the same failure and reports it.
                    Err(_) => self.reconnect(),
                },
                State::Listening(conn) => match next(conn).await {
                    Some(hint) => return hint,
                    None => self.reconnect(),
                },
            }
        }
    }

    /// Listens on a new connection: the one before an outage may be dead without anybody having been told.
    pub fn renew(&mut self) {
        if !matches!(self.state, State::Silent) {
            self.state = State::Connecting(listen(self.store.clone(), Duration::ZERO));
        }
    }

    fn reconnect(&mut self) {
        self.state = State::Connecting(listen(self.store.clone(), PAUSE));
    }
}
