//! Places where tests make the process die, freeze or dawdle. A release build has none of it, and refuses the variable
//! like every other that is no setting.
//!
//! The variable [`VARIABLE`] holds rules such as `writer.locked=delay(20);rewrap.row=kill@3`: at a point, `kill`
//! (SIGKILL), `stop` (SIGSTOP, until SIGCONT), `panic` or `delay(ms)` (at random, that long at most); with `@n` only the
//! n-th time that the point is reached. Invariant: `kill` and `stop` act at their point; nothing after it runs before.

#[cfg(debug_assertions)]
mod armed;

#[cfg(debug_assertions)]
pub use armed::{arm, reach, reach_blocking};

/// The variable with the rules.
pub const VARIABLE: &str = "MODELWARD_FAIL_POINTS";

/// All points.
pub const POINTS: [&str; 9] = [
    // A call may begin.
    "call.admitted",
    // A batch of the writer: before and after it takes the lock, before and after COMMIT, before it answers.
    "writer.before_lock",
    "writer.locked",
    "writer.written",
    "writer.committed",
    "writer.answering",
    // A data key is wrapped anew, and not stored yet.
    "rewrap.row",
    // One migration ran.
    "migration.step",
    // A sidecar has written its copy beside the former one, which still stands.
    "sidecar.copied",
];

/// Does nothing.
#[cfg(not(debug_assertions))]
#[inline]
#[expect(clippy::unused_async, reason = "a debug build waits here")]
pub async fn reach(_point: &'static str) {}

/// Does nothing.
#[cfg(not(debug_assertions))]
#[inline]
pub const fn reach_blocking(_point: &'static str) {}
