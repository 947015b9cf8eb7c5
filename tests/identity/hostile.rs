//! Tokens that somebody made who has no key, or has a good token and changes it, or asks the server to be confused. None
//! is believed, none says which part was wrong, and nothing of any is left in the log at its loudest.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use modelward::proto::v1;
use ring::hmac;
use serde_json::{Value, json};
use tonic::Code;

use super::issuer::{AUDIENCE, ISSUER, Signer, claims, encode, key_set, now};
use super::place::Place;
use crate::support::process::Process;
use crate::support::{Refusal, eventually};

const GATEWAY: &str = "system:serviceaccount:prod:gateway";
/// The order of the curve P-256.
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

struct Forge {
    rsa: Signer,
    ec: Signer,
    ed: Signer,
    stranger: Signer,
}

/// A message that names another algorithm, with a MAC under the public key.
fn mac(signer: &Signer, secret: &[u8]) -> String {
    let header = json!({"alg": "HS256", "kid": signer.id, "typ": "JWT"}).to_string();
    let message = format!("{}.{}", encode(header), encode(claims(GATEWAY).to_string()));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", encode(mac))
}

impl Forge {
    fn new() -> Self {
        Self { rsa: Signer::rsa("rsa"), ec: Signer::ec("ec"), ed: Signer::ed("ed"), stranger: Signer::ec("ec") }
    }

    fn with_header(&self, change: Value) -> String {
        self.ec.sign(&merged(self.ec.header(), change).to_string(), &claims(GATEWAY).to_string())
    }

    fn with_claims(&self, change: Value) -> String {
        self.ec.token(&merged(claims(GATEWAY), change))
    }

    fn good(&self) -> String {
        self.ec.token(&claims(GATEWAY))
    }

    /// A good message with another signature.
    fn signed_with(&self, signature: &[u8]) -> String {
        format!("{}.{}", message(&self.good()), encode(signature))
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let none = |alg: &str| {
            let header = json!({"alg": alg, "typ": "JWT"}).to_string();
            format!("{}.{}.", encode(header), encode(claims(GATEWAY).to_string()))
        };
        let twice = format!("{{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"{}\"}}", self.ec.id);
        let rsa_pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n", STANDARD.encode(self.rsa.public_bytes()));
        let own_key = json!({"alg": "ES256", "jwk": self.stranger.jwk()});
        vec![
            ("alg none, unsigned", none("none")),
            ("alg None", none("None")),
            ("alg nOnE", none("nOnE")),
            ("alg empty", none("")),
            ("alg none, signed", self.with_header(json!({"alg": "none"}))),
            ("alg missing", self.ec.sign("{\"typ\":\"JWT\"}", &claims(GATEWAY).to_string())),
            ("alg a number", self.with_header(json!({"alg": 256}))),
            ("alg twice", self.ec.sign(&twice, &claims(GATEWAY).to_string())),
            ("HS256 by the RSA key", mac(&self.rsa, &self.rsa.public_bytes())),
            ("HS256 by the RSA key as PEM", mac(&self.rsa, rsa_pem.as_bytes())),
            ("HS256 by the EC key", mac(&self.ec, &self.ec.public_bytes())),
            ("HS256 by the Ed25519 key", mac(&self.ed, &self.ed.public_bytes())),
            ("HS256 by nothing", mac(&self.ec, b"")),
            ("RS256 by the EC key", self.with_header(json!({"alg": "RS256"}))),
            ("ES384 by the P-256 key", self.with_header(json!({"alg": "ES384"}))),
            ("EdDSA by the EC key", self.with_header(json!({"alg": "EdDSA"}))),
            ("PS256 by PKCS #1", self.rsa.sign(r#"{"alg":"PS256","kid":"rsa"}"#, &claims(GATEWAY).to_string())),
            ("the key of another type", self.with_header(json!({"kid": "rsa"}))),
            ("kid unknown", self.with_header(json!({"kid": "other"}))),
            ("kid a path", self.with_header(json!({"kid": "../../../dev/null"}))),
            ("kid SQL", self.with_header(json!({"kid": "x' UNION SELECT 'key"}))),
            ("kid a command", self.with_header(json!({"kid": "|id"}))),
            ("kid with NUL", self.with_header(json!({"kid": "ec\u{0}"}))),
            ("kid long", self.with_header(json!({"kid": "e".repeat(300)}))),
            ("kid a list", self.with_header(json!({"kid": ["ec"]}))),
            ("jwk of a stranger", self.stranger.sign(&own_key.to_string(), &claims(GATEWAY).to_string())),
            (
                "jku and x5u of a stranger",
                self.stranger.sign(
                    r#"{"alg":"ES256","kid":"ec","jku":"https://127.0.0.1:1/jwks","x5u":"https://127.0.0.1:1/x5u"}"#,
                    &claims(GATEWAY).to_string(),
                ),
            ),
            ("x5c of a stranger", {
                let chain =
                    json!({"alg": "ES256", "kid": "ec", "x5c": [STANDARD.encode(self.stranger.public_bytes())]});
                self.stranger.sign(&chain.to_string(), &claims(GATEWAY).to_string())
            }),
            ("crit", self.with_header(json!({"crit": ["exp"]}))),
            ("crit and b64", self.with_header(json!({"crit": ["b64"], "b64": false}))),
            ("crit empty", self.with_header(json!({"crit": []}))),
            ("zip", self.with_header(json!({"zip": "DEF"}))),
            ("a logout token", self.with_header(json!({"typ": "logout+jwt"}))),
            ("a proof of possession", self.with_header(json!({"typ": "dpop+jwt"}))),
            ("header a list", self.ec.sign("[]", &claims(GATEWAY).to_string())),
        ]
    }

    fn bodies(&self) -> Vec<(&'static str, String)> {
        let now = now();
        let text = claims(GATEWAY).to_string();
        let twice = text.replacen('{', "{\"sub\":\"system:serviceaccount:prod:deployer\",", 1);
        let deep = text.replacen("\"namespace\":", "\"namespace\":\"x\",\"namespace\":", 1);
        let with = |change| self.with_claims(change);
        vec![
            ("another issuer", with(json!({"iss": "https://evil.example"}))),
            ("an issuer with a slash", with(json!({"iss": format!("{ISSUER}/")}))),
            ("an issuer in capitals", with(json!({"iss": ISSUER.to_uppercase()}))),
            ("a list of issuers", with(json!({"iss": [ISSUER]}))),
            ("no issuer", with(json!({"iss": null}))),
            ("another audience", with(json!({"aud": "vault"}))),
            ("a longer audience", with(json!({"aud": [format!("{AUDIENCE}.example")]}))),
            ("no audience", with(json!({"aud": null}))),
            ("expired", with(json!({"exp": now - 1}))),
            ("expiry missing", with(json!({"exp": null}))),
            ("expiry negative", with(json!({"exp": -1}))),
            ("expiry huge", with(json!({"exp": 1e300}))),
            (
                "expiry beyond 64 bits",
                self.ec.sign(
                    &self.ec.header().to_string(),
                    &text.replace(&format!("\"exp\":{}", claims(GATEWAY)["exp"]), "\"exp\":99999999999999999999999"),
                ),
            ),
            ("expiry a text", with(json!({"exp": (now + 60).to_string()}))),
            ("not yet", with(json!({"nbf": now + 60}))),
            ("issued in the future", with(json!({"iat": now + 60}))),
            ("issued long ago", with(json!({"iat": now - 48 * 3600}))),
            ("issued at no time", with(json!({"iat": null}))),
            ("claims twice", self.ec.sign(&self.ec.header().to_string(), &twice)),
            ("claims twice, deep down", self.ec.sign(&self.ec.header().to_string(), &deep)),
            ("subject with a direction", with(json!({"sub": format!("{GATEWAY}\u{202e}")}))),
            ("subject with nothing in it", with(json!({"sub": "system:serviceaccount:prod:\u{200b}gateway"}))),
            ("subject with a line", with(json!({"sub": format!("{GATEWAY}\nactor=admin")}))),
            ("subject with NUL", with(json!({"sub": format!("{GATEWAY}\u{0}")}))),
            ("subject empty", with(json!({"sub": ""}))),
            ("no subject", with(json!({"sub": null}))),
            ("claims a list", self.ec.sign(&self.ec.header().to_string(), "[]")),
            ("claims no JSON", self.ec.sign(&self.ec.header().to_string(), "exp=1")),
            ("claims of depth", self.ec.sign(&self.ec.header().to_string(), &"[".repeat(3000))),
        ]
    }

    fn signatures(&self) -> Vec<(&'static str, String)> {
        let good = self.good();
        let signature = URL_SAFE_NO_PAD.decode(good.rsplit('.').next().unwrap()).unwrap();
        let (r, s) = signature.split_at(32);
        let order = hex::decode(ORDER).unwrap();
        let zero = [0; 32];
        let [header, body, last] = <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).unwrap();
        let flipped: Vec<u8> = signature.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 40)).collect();
        let raised = self.ec.token(&merged(claims(GATEWAY), json!({"groups": ["admins"]})));
        let other = raised.split('.').nth(1).unwrap();
        vec![
            ("signed by a stranger", self.stranger.token(&claims(GATEWAY))),
            ("no signature", format!("{header}.{body}.")),
            ("two parts", format!("{header}.{body}")),
            ("four parts", format!("{good}.x")),
            ("five parts", format!("{good}.x.y")),
            ("a signature cut short", self.signed_with(&signature[..63])),
            ("half a signature", self.signed_with(r)),
            ("a signature too long", self.signed_with(&[&signature[..], &[0]].concat())),
            ("a bit of the signature", self.signed_with(&flipped)),
            ("r and s zero", self.signed_with(&[0; 64])),
            ("r zero", self.signed_with(&[&zero, s].concat())),
            ("s zero", self.signed_with(&[r, &zero].concat())),
            ("r and s the order", self.signed_with(&[&order[..], &order].concat())),
            ("s beyond the order", self.signed_with(&[r, &[0xff; 32]].concat())),
            ("r and s exchanged", self.signed_with(&[s, r].concat())),
            ("a signature as ASN.1", self.signed_with(&[&[0x30, 68, 2, 32], r, &[2, 32], s].concat())),
            ("claims of another token", format!("{header}.{other}.{last}")),
            ("padding", format!("{}.{}", message(&good), URL_SAFE.encode(&signature))),
            ("the other alphabet", format!("{}.{}", message(&good), STANDARD.encode([0xfb; 64]))),
            ("a dot more in front", format!(".{good}")),
            ("oversized", self.with_claims(json!({"padding": "x".repeat(7000)}))),
            ("dots alone", "..".to_owned()),
            ("a token of this server with a dot", format!("mw_{}.{}", "0".repeat(22), "0".repeat(49))),
        ]
    }

    fn all(&self) -> Vec<(&'static str, String)> {
        [self.headers(), self.bodies(), self.signatures()].concat()
    }
}

fn merged(mut all: Value, change: Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
            value => all[name] = value.clone(),
        }
    }
    all
}

fn message(token: &str) -> &str {
    token.rsplit_once('.').unwrap().0
}

async fn call(process: &Process, token: &str) -> Result<(), tonic::Status> {
    let caller = process.caller(Some(token));
    caller.providers().list_providers(v1::ListProvidersRequest::default()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hostile_token_is_believed_and_none_is_left_in_the_log() {
    let forge = Forge::new();
    let place = Place::with_issuer(&[&forge.rsa, &forge.ec, &forge.ed]);
    let file = place.path("identity.toml");
    let variables = [("MODELWARD_LOG", "trace"), ("MODELWARD_IDENTITY__FILE", file.to_str().unwrap())];
    let process = Process::start(place.directory(), &variables);
    call(&process, &forge.good()).await.unwrap();
    let tokens = forge.all();
    assert!(tokens.len() >= 40, "{}", tokens.len());
    for (name, token) in &tokens {
        let status = call(&process, token).await.expect_err(name);
        let refusal = Refusal::of(&status);
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::Unauthenticated, "UNAUTHENTICATED"),
            "{name}: {refusal}"
        );
        let told = "the token is not known, has expired or was revoked; send `authorization: Bearer mw_…`";
        assert_eq!(refusal.message, told, "{name}");
    }
    // The one that is not refused: its other s signs the same claims, and issuers send either.
    let good = forge.good();
    let signature = URL_SAFE_NO_PAD.decode(good.rsplit('.').next().unwrap()).unwrap();
    let twin = [&signature[..32], &complement(&signature[32..])].concat();
    call(&process, &format!("{}.{}", message(&good), encode(twin))).await.unwrap();
    let log = eventually("the log has the last call", || async {
        let log = process.log();
        (log.matches("call refused").count() > 0).then_some(log)
    })
    .await;
    let mut looked_for = 0;
    for (name, token) in tokens.iter().chain([&("good", good)]) {
        for part in token.split('.').filter(|part| part.len() >= 16) {
            looked_for += 1;
            assert!(!log.contains(part), "a part of the token «{name}» is in the log");
        }
    }
    assert!(log.contains("an identity was not believed"), "the operator can see why");
    println!("hostile tokens: {} refused, {looked_for} parts of them looked for in the log", tokens.len());
    assert!(fs::read_to_string(file).unwrap().contains("jwks_file"));
}

/// What makes a token another one.
fn random() -> String {
    hex::encode(modelward::secrets::random_bytes::<8>().unwrap())
}

/// The order of the curve less `s`.
fn complement(s: &[u8]) -> Vec<u8> {
    let order = hex::decode(ORDER).unwrap();
    let mut borrow = 0_i16;
    let mut result = vec![0; 32];
    for at in (0..32).rev() {
        let mut digit = i16::from(order[at]) - i16::from(s[at]) - borrow;
        borrow = i16::from(digit < 0);
        digit += 256 * borrow;
        result[at] = u8::try_from(digit).unwrap();
    }
    result
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_names_no_key_is_believed_only_where_one_key_can_be_meant() {
    let (one, other) = (Signer::ec("one"), Signer::ec("other"));
    let place = Place::with_issuer(&[&one]);
    let server = place.serve(crate::support::Engine::Sqlite).await;
    let token = one.sign(r#"{"alg":"ES256"}"#, &claims(GATEWAY).to_string());
    let list = || async {
        let caller = server.bearer(&token);
        caller.providers().list_providers(v1::ListProvidersRequest::default()).await.map(drop)
    };
    list().await.unwrap();
    place.write("jwks.json", key_set(&[&one, &other]));
    let fresh = || one.sign(r#"{"alg":"ES256"}"#, &merged(claims(GATEWAY), json!({"jti": random()})).to_string());
    eventually("the second key is known", || async {
        let caller = server.bearer(&fresh());
        caller.providers().list_providers(v1::ListProvidersRequest::default()).await.err()
    })
    .await;
    // One that was believed stays so as long as its key is there.
    list().await.unwrap();
}
