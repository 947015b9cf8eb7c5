//! A primary and its standby, which change places.

use super::postgres::Cluster;

/// Two clusters, one of which follows the other.
pub struct Pair {
    clusters: [Cluster; 2],
    primary: usize,
}

impl Pair {
    pub fn start() -> Self {
        let pair = Self { clusters: [Cluster::start(""), Cluster::start("")], primary: 0 };
        pair.rejoin();
        pair
    }

    /// The URL of a database, whichever is the primary.
    pub fn url(&self, database: &str) -> String {
        let [a, b] = &self.clusters;
        format!("postgres://modelward@127.0.0.1:{},127.0.0.1:{}/{database}", a.port(), b.port())
    }

    pub fn primary(&self) -> &Cluster {
        &self.clusters[self.primary]
    }

    pub fn standby(&self) -> &Cluster {
        &self.clusters[1 - self.primary]
    }

    /// Commits wait from now on until the standby has them, or no longer.
    pub fn wait_for_standby(&self, wait: bool) {
        self.primary().set("synchronous_standby_names", if wait { "'*'" } else { "''" });
    }

    /// The primary goes away in order, when the standby has everything.
    pub fn switch_over(&mut self) {
        self.primary().stop();
        self.promote();
    }

    /// The primary dies.
    pub fn fail_over(&mut self) {
        self.primary().kill();
        self.promote();
    }

    fn promote(&mut self) {
        self.primary = 1 - self.primary;
        // There is nobody to wait for now.
        self.wait_for_standby(false);
        self.primary().sql("postgres", "SELECT pg_promote()");
    }

    /// The one that went away comes back as the standby.
    pub fn rejoin(&self) {
        self.standby().follow(self.primary());
    }

    /// What is written from now on does not reach the standby.
    pub fn cut(&self) {
        self.standby().set("primary_conninfo", "''");
        let gone = || self.primary().sql("postgres", "SELECT count(*) FROM pg_stat_replication").trim() == "0";
        while !gone() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
