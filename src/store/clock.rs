//! The database's clock, in each engine's words. Leases, heartbeats and the order of status go by it, because the
//! clocks of replicas differ.

use super::conn::Conn;

/// SQL of one engine that differs from the other's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    /// Now, as an instant.
    pub now: &'static str,
    /// Now, as microseconds since 1970.
    pub now_micros: &'static str,
    /// The larger of two numbers.
    pub larger: &'static str,
    /// What turns a number of microseconds into something to add to an instant.
    pub micro: &'static str,
}

impl Words {
    pub(super) const fn of(conn: &Conn<'_>) -> Self {
        match conn {
            Conn::Pg(_) => Self {
                now: "clock_timestamp()",
                now_micros: "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
                larger: "greatest",
                micro: "interval '1 microsecond'",
            },
            Conn::Lite(_) => Self {
                now: "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
                now_micros: "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
                larger: "max",
                micro: "1",
            },
        }
    }
}
