//! Logging in on the page, in a real browser, as a person does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use serde_json::json;
use topicserver::Config;

use crate::accounts::{Accounts, GUESS, KEPT, PASSWORD, bearer, token};
use crate::browser::{Browser, Driver, ENTER, ESCAPE};
use crate::common::{TestServer, eventually, read_some};
use crate::requests::Http;

const LOGIN_IS_OPEN: &str = "document.querySelector('#login').open";

fn file(tokens: &[&str]) -> String {
    let line = |id: &&str| format!("{}user = \"alice\"\n", token(id).1);
    let tokens: String = tokens.iter().map(line).collect();
    format!(
        "[everyone]\nallow = [\"read lobby\"]\n[users.alice]\npassword = \"{KEPT}\"\n\
         allow = [\"read write who list *\"]\n{tokens}"
    )
}

/// Gives a name, when the page asks for one.
fn give_name(browser: &Browser, name: &str) {
    browser.wait("document.querySelector('#join').open");
    browser.run("document.querySelector('#name').value = ''");
    browser.write("#name", &format!("{name}{ENTER}"));
    browser.wait("!document.querySelector('#join').open");
}

/// The page says who one is.
fn expect_login(browser: &Browser, who: &str) {
    browser.wait(&format!(
        "document.querySelector('#as').innerText === {who:?}"
    ));
    browser.note_cookies();
}

/// Somebody says something by the page, which the server has then.
fn expect_to_say(browser: &Browser, addr: SocketAddr, topic: &str, text: &str) {
    browser.wait("document.querySelector('#status').dataset.state === 'on'");
    browser.write("#say", &format!("{text}{ENTER}"));
    let member = bearer(&token("member").0);
    eventually("the message", || {
        let all = Http::at(addr).get(&format!("/{topic}?poll=1"), &[&member]);
        let all = all.text().to_owned();
        (all.contains(text) && all.contains("\"account\":\"alice\"")).then_some(())
    });
}

#[test]
fn a_person_logs_in_with_a_password_stays_so_and_logs_out() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let accounts = Accounts::new(&file(&["member"]));
    let server = accounts.serve();
    let browser = driver.browser(1000, 700);
    browser.open(&format!("http://{}/lab", server.addr()));
    give_name(&browser, "al");
    // Nobody may read it, so the page asks who one is.
    browser.wait(LOGIN_IS_OPEN);
    let why = browser.text("#login-why");
    assert!(
        why.contains("you may not read \"lab\" as everyone"),
        "{why}"
    );
    // What a person who sees nothing hears, and a password manager needs.
    let said = browser.run(
        "return ['account', 'password'].map((id) => [document.activeElement.id,
            document.querySelector(`label[for=${id}]`).innerText,
            document.getElementById(id).autocomplete])",
    );
    let account = "Account (leave it empty if you have a token)";
    assert_eq!(
        said,
        json!([
            ["account", account, "username"],
            ["account", "Password or token", "current-password"]
        ])
    );
    browser.keep_picture("page-login");
    browser.write("#account", "alice\u{e004}");
    browser.write("#password", &format!("{GUESS}{ENTER}"));
    browser.wait("document.querySelector('#login-why').innerText.includes('is wrong')");
    assert_eq!(
        browser.text("#login-why"),
        "the name or the password is wrong"
    );
    browser.run("document.querySelector('#password').value = ''");
    browser.write("#password", &format!("{PASSWORD}{ENTER}"));
    expect_login(&browser, "Logged in as alice");
    expect_to_say(&browser, server.addr(), "lab", "by a password");
    browser.reload();
    expect_login(&browser, "Logged in as alice");
    assert_eq!(browser.run("return document.cookie"), "");
    expect_to_say(&browser, server.addr(), "lab", "after a reload");
    log_out_in_another_tab(&browser, &server);
}

/// A second tab is the same person, and when she logs out there, nothing is left of her.
fn log_out_in_another_tab(browser: &Browser, server: &TestServer) {
    let first = browser.tab();
    browser.open_tab();
    browser.open(&format!("http://{}/lab", server.addr()));
    expect_login(browser, "Logged in as alice");
    browser.click("#log");
    // Nothing of her is left, in any tab.
    browser.wait(
        "document.querySelector('#join').open && document.querySelector('#name').value === ''",
    );
    browser.use_tab(&first);
    browser.wait("document.querySelector('#join').open");
    expect_login(browser, "Not logged in");
    let kept = browser.run("return Object.values(localStorage).join()");
    assert!(!kept.as_str().unwrap().contains("al"), "{kept}");
    give_name(browser, "eve");
    browser.wait(LOGIN_IS_OPEN);
    browser.press(&[ESCAPE]);
    browser.wait("document.body.innerText.includes('can\\'t be joined')");
}

#[test]
fn a_person_logs_in_with_a_token_until_it_is_revoked() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let accounts = Accounts::new(&file(&["member", "one"]));
    let server = accounts.serve();
    let browser = driver.browser(1000, 700);
    browser.open(&format!("http://{}/lab", server.addr()));
    give_name(&browser, "al");
    browser.wait(LOGIN_IS_OPEN);
    browser.write("#password", &format!("{} {ENTER}", token("one").0));
    expect_login(&browser, "Logged in as alice");
    expect_to_say(&browser, server.addr(), "lab", "by a token");
    accounts.write(&file(&["member"]));
    browser.wait(LOGIN_IS_OPEN);
    let why = browser.text("#login-why");
    assert!(why.contains("the token one is no longer accepted"), "{why}");
    browser.write("#password", &format!("{}{ENTER}", token("member").0));
    browser.wait("!document.querySelector('#login').open");
    expect_login(&browser, "Logged in as alice");
    expect_to_say(&browser, server.addr(), "lab", "by another token");
    // Also one that comes back after it was away.
    browser.open("about:blank");
    accounts.write(&file(&[]));
    let member = bearer(&token("member").0);
    eventually("the change", || {
        (Http::to(&server).get("/-/topics", &[&member]).status == 401).then_some(())
    });
    browser.open(&format!("http://{}/lab", server.addr()));
    browser.wait(LOGIN_IS_OPEN);
    let why = browser.text("#login-why");
    assert!(
        why.contains("the token member is no longer accepted"),
        "{why}"
    );
    browser.click("#login-cancel");
    expect_login(&browser, "Not logged in");
}

#[test]
fn a_link_brings_a_token_that_nobody_sees() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let text = file(&["member", "two"]) + &token("link").1 + "allow = [\"read write who lab\"]\n";
    let accounts = Accounts::new(&text);
    let server = accounts.serve();
    let browser = driver.browser(1000, 700);
    let page = format!("http://{}/lab", server.addr());
    browser.open(&format!("{page}#t={}", token("link").0));
    browser.wait("location.hash === ''");
    expect_login(&browser, "Logged in by a link");
    give_name(&browser, "guest");
    browser.wait("document.querySelector('#status').dataset.state === 'on'");
    browser.write("#say", &format!("by a link{ENTER}"));
    browser.wait("document.querySelector('.mine') && !document.querySelector('.pending')");
    let address = browser.run("return location.href + document.referrer + document.cookie");
    assert_eq!(address, page);
    browser.reload();
    expect_login(&browser, "Logged in by a link");
    // Another link doesn't take its place without a question, in the tab that is open too.
    let hash = format!("location.hash = 't={}'", token("two").0);
    browser.run(&hash);
    browser.wait(LOGIN_IS_OPEN);
    assert_eq!(browser.run("return location.hash"), "");
    browser.click("#login-cancel");
    expect_login(&browser, "Logged in by a link");
    browser.run(&hash);
    browser.wait(LOGIN_IS_OPEN);
    browser.click("#login-ok");
    expect_login(&browser, "Logged in as alice");
    // One that is wrong says so.
    let other = driver.browser(1000, 700);
    other.open(&format!("{page}#t={}", token("wrong").0));
    other.wait(LOGIN_IS_OPEN);
    let why = other.text("#login-why");
    assert_eq!(why, "the token isn't known here; ask for a new one");
    assert_eq!(other.run("return location.href"), page);
}

#[test]
fn a_name_that_belongs_to_an_account_leads_to_the_form() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let accounts = Accounts::new(&file(&["member"]));
    let server = accounts.serve();
    let browser = driver.browser(1000, 700);
    browser.open(&format!("http://{}/lobby", server.addr()));
    give_name(&browser, "Alice");
    browser.wait(LOGIN_IS_OPEN);
    let why = browser.text("#login-why");
    assert!(why.contains("belongs to an account"), "{why}");
    // Who isn't she takes another name.
    browser.click("#login-cancel");
    give_name(&browser, "bob");
    browser.wait("document.querySelector('#status').dataset.state === 'on'");
    browser.wait("document.querySelector('#me').innerText === 'bob'");
    expect_login(&browser, "Not logged in");
}

/// Another site, whose page is empty.
fn site() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    // It ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = read_some(&mut stream, &mut [0; 4096]);
            let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\
                        connection: close\r\n\r\n<p>x";
            let _ = stream.write_all(page.as_bytes());
        }
    });
    addr
}

/// What a page does to listen with a ticket, and to try one twice.
const USES_TICKETS: &str = "const give = async () => {
            const headers = { authorization: `Bearer ${token}` };
            const answer = await fetch(`http://${server}/-/ticket`, { method: 'POST', headers });
            return (await answer.json()).ticket;
        };
        const listen = (ticket) => new Promise((resolve) => {
            const events = new EventSource(`http://${server}/lab?last=1&ticket=${ticket}`);
            events.onerror = () => { events.close(); resolve('refused'); };
            events.addEventListener('registered', () => { events.close(); resolve('listens'); });
        });
        const [one, two] = [await give(), await give()];
        return [await listen(one), await listen(one), await socket(`?ticket=${two}`),
            await socket(`?ticket=${two}`), await listen('ntk_nothing')].join()";

/// Another port is another site's page, but the browser sends it the same cookies.
#[test]
fn a_page_of_another_site_has_no_use_of_the_cookie_and_uses_a_ticket() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let accounts = Accounts::new(&file(&["member"]));
    let (allowed, evil) = (site(), site());
    let server = TestServer::with(Config {
        allow_origins: vec![format!("http://{allowed}")],
        ..accounts.config()
    });
    let browser = driver.browser(1000, 700);
    let run = |body: &str| {
        browser.run_async(&format!(
            "const done = arguments[arguments.length - 1];
             const server = '{}', token = '{}';
             const socket = (query) => new Promise((resolve) => {{
                 const socket = new WebSocket(`ws://${{server}}/-/ws${{query}}`);
                 socket.onopen = () => socket.send('{{\"topics\":[\"lab\"],\"extended\":{{}}}}');
                 socket.onerror = () => resolve('refused');
                 socket.onmessage = ({{ data }}) => {{
                     const {{ error, registered }} = JSON.parse(data).extended;
                     resolve(error?.code ?? typeof registered);
                 }};
             }});
             (async () => {{ {body} }})().then(done, (error) => done(error.name))",
            server.addr(),
            token("member").0
        ))
    };
    browser.open(&format!("http://{}/lab", server.addr()));
    let logs_in = "const answer = await fetch('/-/login', {
            method: 'POST', body: new URLSearchParams({ token }) });
        return (await answer.json()).authenticated.user";
    assert_eq!(run(logs_in), "alice");
    let opens = "return socket('')";
    let reads = "return (await fetch(`http://${server}/lab?poll=1`)).status";
    let reads_with_cookie = "const how = { credentials: 'include' };
        return (await fetch(`http://${server}/lab?poll=1`, how)).status";
    assert_eq!(run(opens), "object");
    assert_eq!(run(reads), 200);
    browser.open(&format!("http://{evil}/"));
    for (body, result) in [
        (opens, "refused"),
        (reads, "TypeError"),
        (reads_with_cookie, "TypeError"),
    ] {
        assert_eq!(run(body), result, "{body}");
    }
    browser.open(&format!("http://{allowed}/"));
    assert_eq!(run(opens), "unauthenticated");
    assert_eq!(run(reads), 401);
    assert_eq!(run(reads_with_cookie), "TypeError");
    assert_eq!(run(USES_TICKETS), "listens,refused,object,refused,refused");
}
