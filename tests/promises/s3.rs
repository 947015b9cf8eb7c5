//! A ciphertext cannot be moved, altered or downgraded.
//!
//! Who can write to the database changes rows of `credential_secrets` by SQL; servers that load them refuse to open
//! them, in AccessCredential and in their own calls, while lists go on. That every single bit counts is tested beside
//! the code, in `src/secrets/tests.rs`; here is a sample of it.

use modelward::proto::v1::{self, ProviderKind};
use tonic::Code;

use super::effort;
use crate::support::database::{Database, run_on_file};
use crate::support::resources::{credential, endpoint, seconds, secret};
use crate::support::vendor::Vendor;
use crate::support::{Engine, Refusal, Server, eventually};

const CREDENTIALS: usize = 10;
const COLUMNS: [&str; 3] = ["ciphertext", "wrapped_key", "ciphertext, wrapped_key, master_key_id"];

fn text(number: usize, version: i64) -> String {
    format!("sk-genuine-{number:02}-{version}-0123456789")
}

/// Credentials with two readable versions each: 20 rows.
struct Stand {
    engine: Engine,
    /// On PostgreSQL.
    database: Option<Database>,
    vendor: Vendor,
    ids: Vec<String>,
}

/// SQL that spoils something, and the credentials and versions that no longer open then.
#[derive(Clone)]
struct Attack {
    name: String,
    sql: String,
    spoiled: Vec<(usize, i64)>,
}

impl Stand {
    async fn new(engine: Engine) -> (Self, Server) {
        let vendor = Vendor::start().await;
        let (database, server) = match engine {
            Engine::Sqlite => (None, Server::start(engine).await),
            Engine::Postgres => {
                let database = Database::new(engine).await;
                let server = Server::start_on(database.url(), |_| {}).await;
                (Some(database), server)
            }
        };
        let admin = server.admin();
        let provider = admin.add_provider("p", ProviderKind::OpenaiCompatible).await.id;
        admin.add_endpoint(endpoint(&provider, "e", &vendor.url())).await;
        let mut ids = Vec::new();
        for number in 0..CREDENTIALS {
            let made = admin.add_credential(credential(&provider, &format!("c{number}"), &text(number, 1))).await;
            let rotate = v1::RotateCredentialRequest {
                id: made.id.clone(),
                secret: Some(secret(&text(number, 2))),
                grace_period: seconds(3600),
                ..Default::default()
            };
            admin.credentials().rotate_credential(rotate).await.unwrap();
            ids.push(made.id);
        }
        let stand = Self { engine, database, vendor, ids };
        stand.sql(&server, "CREATE TABLE genuine AS SELECT * FROM credential_secrets");
        (stand, server)
    }

    fn sql(&self, server: &Server, sql: &str) {
        match &self.database {
            Some(database) => database.sql(sql),
            None => run_on_file(&server.directory().join("modelward.db"), sql),
        }
    }

    /// The id as SQL writes it.
    fn id(&self, number: usize) -> String {
        let id = &self.ids[number];
        match self.engine {
            Engine::Postgres => format!("'{id}'"),
            Engine::Sqlite => format!("X'{}'", id.replace('-', "")),
        }
    }

    /// Sets columns of one row to those of another one.
    fn copy(&self, columns: &str, to: (usize, i64), from: (usize, i64)) -> String {
        let (to_id, from_id) = (self.id(to.0), self.id(from.0));
        format!(
            "UPDATE credential_secrets SET ({columns}) = (SELECT {columns} FROM genuine WHERE credential_id = {from_id} \
             AND version = {}) WHERE credential_id = {to_id} AND version = {};",
            from.1, to.1
        )
    }

    /// Every row gets columns of another row; the long form has all 380 pairs of rows.
    fn swaps(&self) -> Vec<Attack> {
        let rows: Vec<_> = (0..CREDENTIALS).flat_map(|number| [(number, 1), (number, 2)]).collect();
        let mut attacks = Vec::new();
        for columns in COLUMNS {
            for shift in (1..rows.len()).take(effort(3, rows.len())) {
                let shifted = |at: usize| rows[(at + shift) % rows.len()];
                let pairs = rows.iter().enumerate().map(|(at, row)| self.copy(columns, *row, shifted(at)));
                let name = format!("{columns} of the row {shift} further on");
                attacks.push(Attack { name, sql: pairs.collect(), spoiled: rows.clone() });
            }
        }
        attacks
    }

    /// Changes of single rows: in two of them one byte after the other is altered.
    fn alterations(&self) -> Vec<Attack> {
        let set = |number, columns: &str| {
            let id = self.id(number);
            format!("UPDATE credential_secrets SET {columns} WHERE credential_id = {id} AND version = 2;")
        };
        let (lowered, empty) = (|column| self.byte(column, 0, 1), if self.database.is_some() { "''" } else { "X''" });
        let fixed = [
            set(0, &lowered("ciphertext")),
            set(1, &lowered("wrapped_key")),
            set(2, "master_key_id = 'other'"),
            set(3, &format!("ciphertext = {empty}")),
            set(4, &format!("wrapped_key = {empty}")),
            // The old version put back as the new one.
            self.copy("ciphertext, wrapped_key, master_key_id", (5, 2), (5, 1)),
            self.copy("ciphertext, wrapped_key, master_key_id", (6, 2), (7, 2)),
        ]
        .concat();
        let places = (1..60).step_by(59 / effort(4, 59));
        let attack = |at: usize| {
            let altered = [("ciphertext", 8), ("wrapped_key", 9)]
                .map(|(column, number)| set(number, &self.byte(column, at, 1 << (at % 8))));
            let spoiled = (0..CREDENTIALS).filter(|number| *number != 7).map(|number| (number, 2)).collect();
            Attack { name: format!("byte {at}"), sql: fixed.clone() + &altered.concat(), spoiled }
        };
        places.map(attack).collect()
    }

    /// Changes bits of one byte of a column. SQLite has no exclusive or on blobs: there the byte becomes these bits, or
    /// their opposite where it has them already.
    fn byte(&self, column: &str, at: usize, bits: u8) -> String {
        if self.database.is_some() {
            return format!("{column} = set_byte({column}, {at}, get_byte({column}, {at}) # {bits})");
        }
        let (here, next, opposite) = (at + 1, at + 2, !bits);
        format!(
            "{column} = CAST(substr({column}, 1, {at}) || CASE substr({column}, {here}, 1) WHEN X'{bits:02x}' \
             THEN X'{opposite:02x}' ELSE X'{bits:02x}' END || substr({column}, {next}) AS BLOB)"
        )
    }

    /// Does it, starts the server anew, and finds that nothing opens which should not.
    async fn check(&self, server: Server, attack: &Attack) -> Server {
        let restore = "DELETE FROM credential_secrets; INSERT INTO credential_secrets SELECT * FROM genuine;";
        self.sql(&server, &format!("{restore} {}", attack.sql));
        let server = server.restart().await;
        for (number, id) in self.ids.iter().enumerate() {
            for version in [1, 2] {
                let access =
                    v1::AccessCredentialRequest { id: id.clone(), secret_version: version, ..Default::default() };
                // A busy machine may keep the database from noting who was given a secret in time.
                let answer = eventually("the database has time", || async {
                    let answer = server.credentials().access_credential(access.clone()).await;
                    let late = [Code::Unavailable, Code::DeadlineExceeded];
                    (!answer.as_ref().is_err_and(|status| late.contains(&status.code()))).then_some(answer)
                })
                .await;
                let title = format!("{}: credential {number}, version {version}", attack.name);
                if attack.spoiled.contains(&(number, version)) {
                    let Err(status) = answer else { panic!("{title}: it opens") };
                    Refusal::of(&status).is(Code::DataLoss, "SECRET_UNREADABLE");
                    assert!(!format!("{status:?}").contains("sk-genuine"), "{title}");
                } else {
                    let answer = answer.unwrap_or_else(|status| panic!("{title}: {status}")).into_inner();
                    assert_eq!(answer.secret.unwrap().api_key(), text(number, version), "{title}");
                }
            }
        }
        self.check_list(&server, attack).await;
        self.check_own_calls(&server, attack).await;
        server
    }

    /// Lists go on and say what does not open, and so does the metric.
    async fn check_list(&self, server: &Server, attack: &Attack) {
        let list = v1::ListCredentialsRequest { page_size: 1000, ..Default::default() };
        let listed = server.credentials().list_credentials(list).await.unwrap().into_inner().credentials;
        assert_eq!(listed.len(), CREDENTIALS);
        for one in listed {
            let number = self.ids.iter().position(|id| *id == one.id).unwrap();
            assert_eq!(one.decryptable, !attack.spoiled.contains(&(number, 2)), "{}: {number}", attack.name);
        }
        let line = format!("modelward_undecryptable_secrets {}", attack.spoiled.len());
        eventually("the metric counts them", || async {
            server.parts().metrics.render().lines().any(|found| found == line).then_some(())
        })
        .await;
    }

    /// What does not open is not sent anywhere.
    async fn check_own_calls(&self, server: &Server, attack: &Attack) {
        self.vendor.forget();
        for (number, _) in attack.spoiled.iter().filter(|(_, version)| *version == 2) {
            let validate = v1::ValidateCredentialRequest { id: self.ids[*number].clone() };
            let answer = server.credentials().validate_credential(validate).await.unwrap().into_inner();
            let verdict = answer.credential.unwrap().validation.unwrap();
            assert_eq!(verdict.cause(), v1::ValidationCause::SecretUnreadable, "{}", attack.name);
        }
        assert!(self.vendor.seen().is_empty(), "{}: the vendor was called", attack.name);
    }
}

async fn refuses_all(engine: Engine) {
    let (stand, mut server) = Stand::new(engine).await;
    let untouched = Attack { name: "nothing".into(), sql: String::new(), spoiled: Vec::new() };
    for attack in [vec![untouched], stand.swaps(), stand.alterations()].concat() {
        server = Box::pin(stand.check(server, &attack)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_what_is_moved_or_altered_in_sqlite_does_not_open() {
    Box::pin(refuses_all(Engine::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_what_is_moved_or_altered_in_postgres_does_not_open() {
    Box::pin(refuses_all(Engine::Postgres)).await;
}
