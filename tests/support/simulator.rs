//! A vendor of any kind on the loopback interface: it answers as the vendor's documentation says, misbehaves as it is
//! told, and checks what it is asked.
//!
//! What each vendor answers stands once, in the rows that the adapters' own tests use too. The example `mock_vendor`
//! is this code as a program. Paths are written out because both find their files from here.

#[path = "simulator/answer.rs"]
mod answer;
#[path = "simulator/case.rs"]
mod case;
#[path = "simulator/check.rs"]
mod check;
#[path = "../../src/adapter/tests/kinds/rows.rs"]
mod rows;
#[path = "simulator/server.rs"]
mod server;
#[path = "simulator/tls.rs"]
mod tls;

pub use case::Case;
pub use check::Question;
pub use rows::{ROWS, Row};
pub use server::Simulator;
pub use tls::certificate;
