//! Logins that a browser keeps, and tickets.

use super::*;

#[tokio::test]
async fn a_kept_login_is_that_of_whoever_has_logged_in() {
    let signer = Signer::new();
    let (token, hash) = token::generate("ci").unwrap();
    let text = format!(
        "{}[tokens.ci]\nsecret = \"{}\"\nuser = \"alice\"\nallow = [\"read ci\"]\n\
         [jwt]\nkey = \"key.pem\"\nalgorithms = [\"EdDSA\"]\n",
        file(KEPT),
        hash.to_text()
    );
    let accounts = Accounts::with(&text, |folder| {
        std::fs::write(folder.join("key.pem"), signer.pem()).unwrap();
    });
    let expires = NOW / 1000 + 60;
    let rules = [
        "read 'a b'",
        "live write it's",
        "read 'x''",
        "write {user}-*",
    ];
    let claims = json!({"sub": "guest", "exp": expires, "name": "Ms. G.", "allow": rules});
    let jwt = signer.token(&claims);
    let in_an_hour = NOW + 3_600_000;
    for (principal, until) in [
        (accounts.by_password("alice", "password").await, in_an_hour),
        (accounts.by_token(&token).await, in_an_hour),
        (accounts.by_token(&jwt).await, expires * 1000),
    ] {
        let principal = principal.unwrap();
        let sealed = accounts.access.seal_login(&principal, NOW).unwrap();
        assert_eq!(sealed.until, until, "{principal}");
        let kept = accounts.access.open_login(&sealed.text, NOW).unwrap();
        assert_eq!(kept.to_string(), principal.to_string());
        assert_eq!(kept.name(), principal.name());
        assert_eq!(kept.expires(), Some(until));
        assert!(kept.is_same(&principal) && kept.has_logged_in());
        for topic in ["lab", "ci", "a b", "it's", "x'", "guest-1", "other"] {
            let verbs = |principal| accounts.access.grant(principal, topic).verbs;
            assert_eq!(verbs(&kept), verbs(&principal), "{topic} as {principal}");
        }
        let error = accounts.access.open_login(&sealed.text, until);
        assert_eq!(error.unwrap_err(), LoginError::Over);
        let peer = "203.0.113.9".parse().unwrap();
        let ended = accounts.access.check(&kept, peer, until).unwrap_err();
        assert_eq!(ended.code, ErrorCode::Expired);
    }
}

#[tokio::test]
async fn a_kept_login_holds_no_secret_and_cannot_be_changed() {
    let accounts = Accounts::new(&file(KEPT));
    let alice = accounts.by_password("alice", "password").await.unwrap();
    let sealed = accounts.access.seal_login(&alice, NOW).unwrap().text;
    let (bytes, _) = sealed.split_once('.').unwrap();
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let text = base64::Engine::decode(&engine, bytes).unwrap();
    let text = String::from_utf8(text).unwrap();
    let hash = KEPT.rsplit('$').next().unwrap();
    assert!(
        !text.contains("password\"") && !text.contains(hash),
        "{text}"
    );
    for index in 0..sealed.len() {
        let mut changed = sealed.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        // The last character of base 64 may have bits that mean nothing; they are refused.
        let error = accounts.access.open_login(&changed, NOW).unwrap_err();
        assert_eq!(error, LoginError::Over, "{index}");
    }
    for text in ["", ".", "a.b", bytes] {
        let error = accounts.access.open_login(text, NOW).unwrap_err();
        assert_eq!(error, LoginError::Over, "{text}");
    }
    // Another server has another key, and one that comes back with the same secret has not.
    let mut other = Accounts::new(&file(KEPT));
    assert!(other.access.open_login(&sealed, NOW).is_err());
    other.access.set_secret(b"secret");
    let kept = other.access.seal_login(&alice, NOW).unwrap().text;
    let mut again = Accounts::new(&file(KEPT));
    again.access.set_secret(b"secret");
    assert!(again.access.open_login(&kept, NOW).is_ok());
}

#[tokio::test]
async fn a_kept_login_ends_with_what_it_was_made_from() {
    let (token, hash) = token::generate("ci").unwrap();
    let with_token = format!(
        "{}[tokens.ci]\nsecret = \"{}\"\nallow = [\"read ci\"]\n",
        file(KEPT),
        hash.to_text()
    );
    let accounts = Accounts::new(&with_token);
    let keep = |principal: &Principal| accounts.access.seal_login(principal, NOW).unwrap().text;
    let by_password = keep(&accounts.by_password("alice", "password").await.unwrap());
    let by_token = keep(&accounts.by_token(&token).await.unwrap());
    let open = |text: &str| accounts.access.open_login(text, NOW);
    let peer = "203.0.113.9".parse().unwrap();
    let here = [&by_password, &by_token].map(|text| open(text).unwrap());
    // Something else has changed.
    accounts.write(&(with_token.clone() + "[users.carol]\n"));
    assert!(open(&by_password).is_ok() && open(&by_token).is_ok());
    let other = PasswordHash::of("password").unwrap().to_string();
    accounts.write(&file(&other));
    for (text, principal) in [&by_password, &by_token].into_iter().zip(here) {
        assert_eq!(open(text).unwrap_err().code(), ErrorCode::Revoked);
        let ended = accounts.access.check(&principal, peer, NOW).unwrap_err();
        assert_eq!(ended.code, ErrorCode::Revoked);
    }
    // A token of the same name with another secret is another token.
    let (_, other) = token::generate("ci").unwrap();
    accounts.write(&with_token.replace(&hash.to_text(), &other.to_text()));
    assert_eq!(open(&by_token).unwrap_err().code(), ErrorCode::Revoked);
    assert!(open(&by_password).is_ok());
    accounts.write("[users.bob]\n");
    assert_eq!(open(&by_password).unwrap_err().code(), ErrorCode::Revoked);
}

#[tokio::test]
async fn who_logs_out_ends_that_login_and_no_other() {
    let accounts = Accounts::new(&file(KEPT));
    let alice = accounts.by_password("alice", "password").await.unwrap();
    let keep = || accounts.access.seal_login(&alice, NOW).unwrap().text;
    let (one, other) = (keep(), keep());
    let open = |text: &str| accounts.access.open_login(text, NOW);
    let [here, elsewhere] = [&one, &other].map(|text| open(text).unwrap());
    assert_eq!(accounts.access.has_expired(NOW), Changed::No);
    assert!(accounts.access.end_login(&here, NOW));
    // Those who are connected are looked at.
    assert_eq!(accounts.access.has_expired(NOW), Changed::Expiry);
    let peer = "203.0.113.9".parse().unwrap();
    let ended = accounts.access.check(&here, peer, NOW).unwrap_err();
    assert_eq!(ended.code, ErrorCode::Revoked);
    assert_eq!(open(&one).unwrap_err(), LoginError::Over);
    assert!(accounts.access.check(&elsewhere, peer, NOW).is_ok());
    assert!(open(&other).is_ok());
    // One that no browser keeps has nothing to be ended.
    assert!(!accounts.access.end_login(&alice, NOW));
    assert!(open(&other).is_ok());
}

#[tokio::test]
async fn a_login_that_is_too_long_for_a_browser_is_refused() {
    let signer = Signer::new();
    let text = "[jwt]\nkey = \"key.pem\"\nalgorithms = [\"EdDSA\"]\n";
    let accounts = Accounts::with(text, |folder| {
        std::fs::write(folder.join("key.pem"), signer.pem()).unwrap();
    });
    let rules: Vec<_> = (0..60)
        .map(|n| format!("read {n}-{}", "x".repeat(34)))
        .collect();
    let claims = json!({"sub": "a", "exp": NOW / 1000 + 9, "allow": rules});
    let principal = accounts.by_token(&signer.token(&claims)).await.unwrap();
    let error = accounts.access.seal_login(&principal, NOW).map(drop);
    assert_eq!(error.unwrap_err(), LoginError::TooLong);
}

#[tokio::test]
async fn a_ticket_is_whoever_got_it_if_that_still_holds() {
    let (token, hash) = token::generate("ci").unwrap();
    let with_token = format!(
        "[tokens.ci]\nsecret = \"{}\"\nallow = [\"read ci\"]\n",
        hash.to_text()
    );
    let accounts = Accounts::new(&with_token);
    let principal = accounts.by_token(&token).await.unwrap();
    let peer = "203.0.113.9".parse().unwrap();
    let (ticket, lifetime) = accounts.access.give_ticket(&principal).unwrap();
    assert_eq!(lifetime, LIFETIMES.ticket);
    let taken = accounts.access.take_ticket(&ticket, peer, NOW).unwrap();
    assert_eq!(taken.token(), Some("ci"));
    let error = accounts.access.take_ticket(&ticket, peer, NOW).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unauthenticated);
    let (ticket, _) = accounts.access.give_ticket(&principal).unwrap();
    accounts.write("[users.bob]\n");
    let error = accounts.access.take_ticket(&ticket, peer, NOW).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Revoked);
}
