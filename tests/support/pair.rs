//! A primary and its standby, which change places.

use super::postgres::Cluster;
use super::primary::Primary;

/// Two clusters, one of which follows the other.
pub struct Pair {
    clusters: [Cluster; 2],
    primary: usize,
    is_synchronous: bool,
}

impl Pair {
    /// Commits wait for nobody.
    pub fn start() -> Self {
        Self::begin(false)
    }

    /// Commits wait until the standby has them.
    pub fn start_synchronous() -> Self {
        Self::begin(true)
    }

    fn begin(is_synchronous: bool) -> Self {
        let pair = Self { clusters: [Cluster::start(""), Cluster::start("")], primary: 0, is_synchronous };
        pair.rejoin();
        pair
    }

    pub fn primary(&self) -> &Cluster {
        &self.clusters[self.primary]
    }

    fn standby(&self) -> &Cluster {
        &self.clusters[1 - self.primary]
    }

    fn wait_for_standby(&self, wait: bool) {
        self.primary().set("synchronous_standby_names", if wait { "'*'" } else { "''" });
    }

    fn promote(&mut self) {
        self.primary = 1 - self.primary;
        // There is nobody to wait for now.
        self.wait_for_standby(false);
        self.primary().sql("postgres", "SELECT pg_promote()");
    }
}

impl Primary for Pair {
    fn url(&self, database: &str) -> String {
        let [a, b] = &self.clusters;
        format!("postgres://modelward@127.0.0.1:{},127.0.0.1:{}/{database}", a.port(), b.port())
    }

    fn create_database(&self) -> String {
        self.primary().create_database(None)
    }

    fn sql(&self, database: &str, sql: &str) -> String {
        self.primary().sql(database, sql)
    }

    fn switch_over(&mut self) {
        self.primary().stop();
        self.promote();
    }

    fn fail_over(&mut self) {
        self.primary().kill();
        self.promote();
    }

    fn rejoin(&self) {
        self.standby().follow(self.primary());
        self.wait_for_standby(self.is_synchronous);
    }

    fn cut(&self) {
        self.standby().set("primary_conninfo", "''");
        let gone = || self.primary().sql("postgres", "SELECT count(*) FROM pg_stat_replication").trim() == "0";
        while !gone() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
