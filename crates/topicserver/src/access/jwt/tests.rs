//! Signed tokens: by each algorithm, wrong in each way.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_800_000_000_000;
const IN_AN_HOUR: u64 = NOW / 1000 + 3600;

pub(in super::super) enum Signer {
    Ed(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    fn all() -> [Self; 3] {
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        [Self::new(), Self::Ec(ec), Self::Rsa(rsa)]
    }

    pub(in super::super) fn new() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed(_) => Algorithm::EdDsa,
            Self::Ec(_) => Algorithm::Es256,
            Self::Rsa(_) => Algorithm::Rs256,
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }

    /// The public key as `openssl pkey -pubout` writes it.
    pub(in super::super) fn pem(&self) -> String {
        let der = match self {
            Self::Ed(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ec(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Rsa(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
        };
        let digits = STANDARD.encode(der);
        let lines: Vec<_> = digits
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let lines = lines.join("\n");
        format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n")
    }

    /// The public key as a JWK.
    fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref())})
            }
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            }
            Self::Rsa(key) => {
                // In DER: the modulus behind four bytes of each head and a zero, and three
                // bytes of the exponent.
                let der = key.public_key().as_ref();
                let (n, e) = (encode(&der[9..9 + 256]), encode(&der[der.len() - 3..]));
                json!({"kty": "RSA", "n": n, "e": e})
            }
        }
    }

    pub(in super::super) fn token(&self, claims: &Value) -> String {
        let head = json!({"alg": self.algorithm().as_str(), "typ": "JWT"});
        self.token_with(&head, claims)
    }

    fn token_with(&self, head: &Value, claims: &Value) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(head), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

fn jwt(keys: &str) -> Jwt {
    Jwt {
        keys: Keys::parse(keys, &Algorithm::ALL).unwrap(),
        file: PathBuf::new(),
        audience: None,
        issuer: None,
    }
}

fn claims() -> Value {
    json!({"sub": "alice", "exp": IN_AN_HOUR})
}

/// The usual claims with another value of one.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[test]
fn a_token_is_valid_by_its_key_alone() {
    let signers = Signer::all();
    for (index, signer) in signers.iter().enumerate() {
        let set = json!({"keys": [signer.jwk()]}).to_string();
        for keys in [signer.pem(), set] {
            let jwt = jwt(&keys);
            for (other, signer) in signers.iter().enumerate() {
                let claimed = jwt.check(&signer.token(&claims()), NOW);
                match claimed {
                    Ok(claimed) => {
                        assert_eq!(index, other);
                        assert_eq!(claimed.account.as_str(), "alice");
                        assert_eq!(claimed.expires, IN_AN_HOUR * 1000);
                        assert!(jwt.accepts(&claimed.mark));
                    }
                    Err(error) => {
                        assert_ne!(index, other);
                        assert_eq!(error, JwtError::Signature);
                    }
                }
            }
        }
    }
}

#[test]
fn a_token_that_was_changed_is_not_valid() {
    let signer = Signer::new();
    let jwt = jwt(&signer.pem());
    let token = signer.token(&claims());
    assert!(jwt.check(&token, NOW).is_ok());
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let error = jwt.check(&changed, NOW).err();
        assert!(
            matches!(error, Some(JwtError::Form | JwtError::Signature)),
            "{at}"
        );
    }
    let parts: Vec<_> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else {
        panic!()
    };
    for wrong in [
        String::new(),
        "..".into(),
        format!("{head}.{claims}."),
        format!("{head}.{claims}"),
        format!("{head}..{signature}"),
        format!("{head}.{claims}.{signature}.{signature}"),
        format!("{head}.{claims}.{signature}="),
    ] {
        assert!(jwt.check(&wrong, NOW).is_err(), "{wrong}");
    }
}

#[test]
fn a_token_does_not_choose_how_it_is_checked() {
    let signer = Signer::new();
    let jwt = jwt(&signer.pem());
    for alg in ["none", "None", "HS256", "ES256", "RS256", "eddsa", ""] {
        let token = signer.token_with(&json!({"alg": alg}), &claims());
        assert_eq!(
            jwt.check(&token, NOW).err(),
            Some(JwtError::Signature),
            "{alg}"
        );
    }
    let critical = json!({"alg": "EdDSA", "crit": ["exp"]});
    let token = signer.token_with(&critical, &claims());
    assert_eq!(jwt.check(&token, NOW).err(), Some(JwtError::Form));
}

#[test]
fn time_is_ours_and_a_day_is_the_longest() {
    let signer = Signer::new();
    let jwt = jwt(&signer.pem());
    let now = NOW / 1000;
    let check = |claims: &Value| jwt.check(&signer.token(claims), NOW).map(|_| ());
    let day = 24 * 60 * 60;
    for (exp, expected) in [
        (json!(now + 1), Ok(())),
        (json!(now as f64 + 0.5), Ok(())),
        (json!(now), Err(JwtError::Expired)),
        (json!(now - 1), Err(JwtError::Expired)),
        (json!(-5), Err(JwtError::Expired)),
        (json!(now + day), Ok(())),
        (json!(now + day + 61), Err(JwtError::Long)),
        (json!(1e300), Err(JwtError::Long)),
        (json!("tomorrow"), Err(JwtError::Form)),
        (Value::Null, Err(JwtError::Missing("exp"))),
    ] {
        assert_eq!(check(&with("exp", exp.clone())), expected, "{exp}");
    }
    assert_eq!(check(&with("nbf", json!(now + 30))), Ok(()));
    assert_eq!(check(&with("nbf", json!(now + 61))), Err(JwtError::Early));
}

#[test]
fn a_token_says_whose_it_is_and_what_it_may() {
    let signer = Signer::new();
    let jwt = jwt(&signer.pem());
    let check = |claims: &Value| jwt.check(&signer.token(claims), NOW);
    assert!(check(&claims()).unwrap().rules.is_none());
    let claimed = check(&with("allow", json!(["read lab", "write up-*"]))).unwrap();
    assert_eq!(claimed.rules.unwrap().allow.len(), 2);
    assert!(check(&with("allow", json!([]))).unwrap().rules.is_some());
    let named = check(&with("name", json!("Alice A."))).unwrap();
    assert_eq!(named.name.unwrap().as_str(), "Alice A.");
    for (name, value, expected) in [
        ("sub", Value::Null, JwtError::Missing("sub")),
        ("sub", json!(""), JwtError::Name("sub")),
        ("sub", json!("a\nb"), JwtError::Name("sub")),
        ("sub", json!(7), JwtError::Form),
        ("name", json!(""), JwtError::Name("name")),
        (
            "allow",
            json!(vec!["read lab"; MAX_RULES + 1]),
            JwtError::ManyRules,
        ),
        ("allow", json!("read lab"), JwtError::Form),
    ] {
        assert_eq!(check(&with(name, value)).unwrap_err(), expected, "{name}");
    }
    let wrong = check(&with("allow", json!(["raed lab"]))).unwrap_err();
    assert!(wrong.to_string().contains("raed"), "{wrong}");
}

#[test]
fn audience_and_issuer_must_fit_if_they_are_said() {
    let signer = Signer::new();
    let open = jwt(&signer.pem());
    let bound = Jwt {
        audience: Some("natter".into()),
        issuer: Some("wiki".into()),
        ..jwt(&signer.pem())
    };
    let check = |jwt: &Jwt, aud: Value, iss: Value| {
        let mut claims = with("aud", aud);
        claims["iss"] = iss;
        jwt.check(&signer.token(&claims), NOW).map(|_| ())
    };
    let (natter, wiki) = (json!("natter"), json!("wiki"));
    let fits = check(&bound, natter.clone(), wiki.clone());
    assert_eq!(fits, Ok(()));
    let several = json!(["other", "natter"]);
    assert_eq!(check(&bound, several, wiki.clone()), Ok(()));
    for aud in [Value::Null, json!("other"), json!([])] {
        assert_eq!(check(&bound, aud, wiki.clone()), Err(JwtError::Audience));
    }
    for iss in [Value::Null, json!("other")] {
        assert_eq!(check(&bound, natter.clone(), iss), Err(JwtError::Issuer));
    }
    // Made for somebody else, as far as we know.
    assert_eq!(check(&open, natter, wiki.clone()), Err(JwtError::Audience));
    assert_eq!(check(&open, Value::Null, wiki), Ok(()));
    let claimed = open.check(&signer.token(&claims()), NOW).unwrap();
    assert!(!bound.accepts(&claimed.mark));
}

#[test]
fn of_several_keys_the_named_one_counts() {
    let (first, second) = (Signer::new(), Signer::new());
    let named = |signer: &Signer, kid: &str| {
        let mut jwk = signer.jwk();
        jwk["kid"] = json!(kid);
        jwk
    };
    let other = json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"});
    let mut encrypting = first.jwk();
    encrypting["use"] = json!("enc");
    let keys = json!({"keys": [named(&first, "a"), named(&second, "b"), other, encrypting]});
    let jwt = jwt(&keys.to_string());
    let check = |signer: &Signer, kid: Value| {
        let token = signer.token_with(&json!({"alg": "EdDSA", "kid": kid}), &claims());
        jwt.check(&token, NOW).is_ok()
    };
    assert!(check(&first, json!("a")) && check(&second, json!("b")));
    assert!(!check(&first, json!("b")) && !check(&first, json!("c")));
    assert!(check(&first, Value::Null) && check(&second, Value::Null));
    assert!(!check(&Signer::new(), Value::Null));
}

#[test]
fn what_is_no_key_is_refused_with_the_reason() {
    let parse = |text: &str| Keys::parse(text, &Algorithm::ALL).unwrap_err();
    let [ed, ec, rsa] = Signer::all();
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(parse(private), JwtKeyError::Private);
    let mut jwk = ed.jwk();
    jwk["d"] = json!("AAAA");
    assert_eq!(
        parse(&json!({"keys": [jwk]}).to_string()),
        JwtKeyError::Private
    );
    for text in [
        "",
        "hello",
        "{}",
        "{\"keys\":[{}]}",
        "-----BEGIN PUBLIC KEY-----\n",
    ] {
        assert_eq!(parse(text), JwtKeyError::Form, "{text}");
    }
    let none = parse(&json!({"keys": []}).to_string());
    assert_eq!(none, JwtKeyError::None("EdDSA, ES256, RS256".into()));
    let many = vec![ed.jwk(); MAX_KEYS_AND_ONE];
    assert_eq!(parse(&json!({"keys": many}).to_string()), JwtKeyError::Many);
    for (signer, allowed) in [
        (&ed, Algorithm::Es256),
        (&ec, Algorithm::Rs256),
        (&rsa, Algorithm::EdDsa),
    ] {
        let error = Keys::parse(&signer.pem(), &[allowed]).unwrap_err();
        assert_eq!(error, JwtKeyError::Algorithm(allowed.as_str().into()));
        let set = json!({"keys": [signer.jwk()]}).to_string();
        let error = Keys::parse(&set, &[allowed]).unwrap_err();
        assert_eq!(error, JwtKeyError::None(allowed.as_str().into()));
        assert!(Keys::parse(&signer.pem(), &[signer.algorithm()]).is_ok());
    }
}

const MAX_KEYS_AND_ONE: usize = 33;

/// From the examples of RFC 8037, appendix A.4, so that it isn't only our own signatures
/// that are understood.
#[test]
fn a_signature_of_others_is_understood() {
    let key = json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    }]});
    let jwt = jwt(&key.to_string());
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    // It is signed, but says nothing that a token says.
    assert_eq!(jwt.check(token, NOW).unwrap_err(), JwtError::Form);
    let other = token.replace("RXhh", "RXhi");
    assert_eq!(jwt.check(&other, NOW).unwrap_err(), JwtError::Signature);
}
