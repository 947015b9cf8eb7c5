//! The table of what works per kind, made from what came of asking.

use std::fmt::Write as _;

use super::{Caller, Case, Outcome, ROWS, Row, account, outcome, unreachable};

const BEGIN: &str = "<!-- vendors -->\n";
const END: &str = "<!-- /vendors -->";
const HEAD: &str = "\
| kind | models listed | good key | bad key | no permission | no credit | rate-limited | unreachable | garbage | probe | \
model test, unknown model |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

/// What a document shows.
pub fn documented(text: &str) -> &str {
    let (_, rest) = text.split_once(BEGIN).expect("the mark where the table begins");
    rest.split_once(END).expect("the mark where it ends").0
}

/// The same document with another table.
pub fn updated(text: &str, table: &str) -> String {
    text.replace(&format!("{BEGIN}{}{END}", documented(text)), &format!("{BEGIN}{table}{END}"))
}

/// Asks every vendor in every case.
pub async fn rendered(admin: &Caller) -> String {
    let mut table = HEAD.to_owned();
    for row in ROWS {
        writeln!(table, "{}", line(admin, row).await).unwrap();
    }
    table
}

async fn line(admin: &Caller, row: &'static Row) -> String {
    let good = outcome(admin, row, Case::Good).await;
    let listed = good.sync.as_ref().unwrap_or_else(|error| panic!("{:?}: {error}", row.kind));
    // One of them was entered by hand before.
    assert_eq!(usize::try_from(listed.added).unwrap(), row.ids.len() - 1, "{:?}", row.kind);
    let bad = key(admin, row, Case::BadKey, Some(row.bad_key)).await;
    let no_permission = key(admin, row, Case::NoPermission, row.no_permission).await;
    let no_credit = key(admin, row, Case::NoCredit, row.no_credit).await;
    let limited = key(admin, row, Case::RateLimited, Some((429, ""))).await;
    let unknown = outcome(admin, row, Case::UnknownModel).await;
    let gone = unreachable(admin, row).await;
    assert_eq!((gone.health().as_str(), gone.model().as_str()), ("UNHEALTHY", "UNAVAILABLE (NETWORK)"));
    assert!(gone.sync.is_err());
    let garbage = key(admin, row, Case::Garbage, Some((200, ""))).await;
    let kind = account::kind_of(row.kind).as_str_name().trim_start_matches("PROVIDER_KIND_").to_owned();
    let cells = [
        kind,
        "yes".to_owned(),
        good.key(),
        bad,
        no_permission,
        no_credit,
        limited,
        gone.key(),
        garbage,
        good.health(),
        format!("{}, {}", good.model(), unknown.model()),
    ];
    format!("| {} |", cells.join(" | "))
}

/// The verdict about a key, and that a list and a test fail for the same reason. A vendor without such an answer has a
/// dash.
async fn key(admin: &Caller, row: &'static Row, case: Case, told: Option<(u16, &str)>) -> String {
    let Some((status, _)) = told else { return "–".to_owned() };
    let outcome: Outcome = outcome(admin, row, case).await;
    // A balance that is empty is told by itself, and the list is still there.
    let only_about_the_balance = case == Case::NoCredit && status == 200;
    match &outcome.sync {
        Ok(_) => assert!(only_about_the_balance, "{:?} {case:?}", row.kind),
        Err(refusal) if refusal.reason == "UNSUPPORTED_BY_PROVIDER" => {}
        Err(refusal) => drop(refusal.has("http_status", &status.to_string())),
    }
    let tested = outcome.model();
    assert!(tested != "AVAILABLE" || only_about_the_balance, "{:?} {case:?}: {tested}", row.kind);
    outcome.key()
}
