//! Sets of keys of every shape. What is signed with them is tested from outside, with an issuer that signs.

use serde_json::json;

use super::*;

const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

fn modulus(bytes: usize) -> String {
    URL_SAFE_NO_PAD.encode(vec![0xc1; bytes])
}

fn ec() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "ec"})
}

fn rsa() -> Value {
    json!({"kty": "RSA", "n": modulus(256), "e": "AQAB", "kid": "rsa"})
}

fn parse(keys: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes())
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

#[test]
fn keys_are_for_the_algorithms_of_their_type_or_the_one_that_they_name() {
    let set = parse(&[ec(), rsa(), with(with(rsa(), "alg", json!("PS512")), "kid", json!("ps"))]).unwrap();
    let names: Vec<Vec<_>> = set
        .iter()
        .map(|key| {
            SignatureAlgorithm::ALL.into_iter().filter(|one| key.allows(*one)).map(SignatureAlgorithm::name).collect()
        })
        .collect();
    let all = vec!["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    assert_eq!(names, [vec!["ES256"], all, vec!["PS512"]]);
    assert!(set.names("ps") && !set.names("other"));
}

#[test]
fn keys_of_no_use_are_passed_over_and_told() {
    let useless = [
        with(ec(), "use", json!("enc")),
        with(ec(), "key_ops", json!(["sign"])),
        with(ec(), "alg", json!("RS256")),
        with(ec(), "alg", json!("HS256")),
        with(ec(), "alg", json!("none")),
        with(ec(), "crv", json!("secp256k1")),
        with(ec(), "crv", json!("P-384")),
        with(ec(), "x", json!("AAAA")),
        with(ec(), "x", json!("not base64url!")),
        with(ec(), "y", json!(null)),
        with(rsa(), "n", json!(modulus(255))),
        with(rsa(), "n", json!(modulus(128))),
        with(rsa(), "n", json!(modulus(1025))),
        with(rsa(), "n", json!(URL_SAFE_NO_PAD.encode([vec![0; 1], vec![0x41; 256]].concat()))),
        with(rsa(), "e", json!("AQ")),
        with(rsa(), "e", json!("Ag")),
        with(rsa(), "e", json!("AAAAAAAAAAAAAAEAAQEBAQEB")),
        json!({"kty": "oct", "k": "c2VjcmV0", "kid": "secret"}),
        json!({"kty": "OKP", "crv": "X25519", "x": X, "kid": "exchange"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
        json!({"kid": "nothing"}),
        json!("a text"),
        json!({"kty": ["EC"]}),
    ];
    for key in &useless {
        assert!(matches!(parse(std::slice::from_ref(key)), Err(KeySetError::NoneLeft { first: Some(_) })), "{key}");
    }
    let set = parse(&[&useless[..], &[ec()]].concat()).unwrap();
    assert_eq!((set.iter().count(), set.passed_over.len()), (1, useless.len()));
}

#[test]
fn one_key_shown_twice_is_one_and_two_of_one_name_are_both_tried() {
    assert_eq!(parse(&[ec(), ec()]).unwrap().iter().count(), 1);
    let two = parse(&[ec(), with(rsa(), "kid", json!("ec"))]).unwrap();
    assert_eq!(two.iter().count(), 2);
    let token = |algorithm, key_id: Option<&str>| SignedToken {
        text: "",
        algorithm,
        key_id: key_id.map(str::to_owned),
        issuer: String::new(),
    };
    let fitting = |algorithm, id| two.fitting(&token(algorithm, id), &SignatureAlgorithm::ALL).len();
    assert_eq!(fitting(SignatureAlgorithm::Es256, Some("ec")), 1);
    assert_eq!(fitting(SignatureAlgorithm::Rs256, Some("ec")), 1);
    assert_eq!(fitting(SignatureAlgorithm::EdDsa, Some("ec")), 0);
    assert_eq!(fitting(SignatureAlgorithm::Es256, None), 1);
    let pinned = two.fitting(&token(SignatureAlgorithm::Es256, Some("ec")), &[SignatureAlgorithm::Rs256]);
    assert!(pinned.is_empty(), "an algorithm that the operator did not allow");
    let twins = parse(&[ec(), with(ec(), "kid", json!("other"))]).unwrap();
    assert!(twins.fitting(&token(SignatureAlgorithm::Es256, None), &SignatureAlgorithm::ALL).is_empty());
}

#[test]
fn sets_that_are_none_or_too_large_are_refused() {
    let refused = |text: &str| KeySet::parse(text.as_bytes()).err().unwrap();
    for text in ["", "[]", "{}", "{\"keys\": {}}", "{\"keys\": []", "null"] {
        assert_eq!(refused(text), KeySetError::Form, "{text}");
    }
    assert_eq!(refused("{\"keys\": []}"), KeySetError::NoneLeft { first: None });
    assert_eq!(parse(&vec![ec(); 101]).err().unwrap(), KeySetError::TooMany);
    assert_eq!(refused(&" ".repeat(300 * 1024)), KeySetError::TooLong);
}

#[test]
fn any_text_is_read_or_refused_without_a_panic() {
    for text in
        ["", ".", "..", "...", "a.b.c", "é.é.é", "e30.e30.", "e30.e30.e30", &".".repeat(9000), &"a".repeat(9000)]
    {
        assert!(SignedToken::read(text).is_err(), "{text:.20}");
    }
}
