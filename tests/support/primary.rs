//! A database whose primary goes to another server.

/// Servers of which one is the primary, and the others may become it.
pub trait Primary: Send {
    /// The URL of a database, whichever is the primary.
    fn url(&self, database: &str) -> String;

    /// Makes an empty database.
    fn create_database(&self) -> String;

    /// Runs SQL at the primary as the superuser and answers what it prints.
    fn sql(&self, database: &str, sql: &str) -> String;

    /// The primary goes away in order, when another one has everything. The new one takes writes when this returns.
    fn switch_over(&mut self);

    /// The primary dies. The new one takes writes when this returns.
    fn fail_over(&mut self);

    /// Those that went away come back as standbys.
    fn rejoin(&self);

    /// What is written from now on reaches no standby.
    fn cut(&self);
}
