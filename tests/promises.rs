//! What users may rely on: a file per promise, named after its id in `docs/PROOFS.md`.
//!
//! Each runs in a short form with all other tests. The long form, with the promise's own numbers, is `just chaos`.

mod a1;
mod a2;
mod a5;
mod a6;
mod a8;
mod d1;
mod d10;
mod d11;
mod d2;
mod d3;
mod d4;
mod d5;
mod d6;
mod d7;
mod d8;
mod d9;
mod h1;
mod h2;
mod h3;
mod h4;
mod s1;
mod s3;
mod s5;
mod s6;
mod s7;
mod s8;

/// How much to do: the first number in the short form, the second in the long one (`MODELWARD_PROOFS=long`).
pub fn effort(short: usize, long: usize) -> usize {
    if std::env::var("MODELWARD_PROOFS").is_ok_and(|form| form == "long") { long } else { short }
}

/// The figures of a run, for those who ask for them with `--nocapture`.
#[expect(clippy::print_stdout, reason = "that is where figures go")]
pub fn report(figures: &str) {
    println!("{figures}");
}
