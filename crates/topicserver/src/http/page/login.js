// Logging in. The browser keeps the login in a cookie that no script can read: nothing of it
// is kept here.

import { $ } from "./sidebar.js";

// Codes that say that it takes another login.
export const TAKES_LOGIN = ["unauthenticated", "forbidden", "expired", "revoked", "name-reserved"];

// A link can bring a token behind the `#`, which no server is sent. It doesn't stay in the
// address, where others could read it, or in the history.
export function takeToken() {
  const token = /^#t=(.+)/.exec(location.hash)?.[1];
  if (token) history.replaceState(history.state, "", location.pathname + location.search);
  return token;
}

export const first = takeToken();

async function ask(path, about) {
  try {
    return await (await fetch(path, about)).json();
  } catch {
    return { error: { code: "connection-lost", text: "The server can't be reached. Try again." } };
  }
}

function post(path, body) {
  const headers = { "content-type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

// Who one is here: `authenticated`, or `error`.
export const who = () => ask("/-/login");
export const logIn = (user, password) => post("/-/login", { user, password });
export const logOut = () => post("/-/logout", {});

let asking = null;

// Asks who one is. Resolves with whether the server has accepted that.
export function askLogin(why = "", token = "") {
  $("login-why").textContent = why;
  asking ??= new Promise((resolve) => begin(token, resolve)).finally(() => { asking = null; });
  return asking;
}

function begin(token, resolve) {
  const dialog = $("login");
  const [user, password, button] = [$("account"), $("password"), $("login-ok")];
  user.value = "";
  password.value = token;
  $("login-plain").hidden = isSecureContext;
  $("login-form").onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    const name = user.value.trim();
    // Tokens are pasted, often with a space.
    const { error } = await logIn(name, name ? password.value : password.value.trim());
    button.disabled = false;
    $("login-why").textContent = error?.text ?? "";
    if (error) return password.select();
    return dialog.close("accepted");
  };
  $("login-cancel").onclick = () => dialog.close("");
  dialog.onclose = () => {
    password.value = "";
    resolve(dialog.returnValue === "accepted");
  };
  dialog.returnValue = "";
  dialog.showModal();
  (token ? button : user).focus();
}

// Says who one is, where one can log in at all.
export function drawLogin({ authenticated, accounts }, then) {
  const isMember = Boolean(authenticated);
  $("access").hidden = !accounts;
  $("as").textContent = !isMember ? "Not logged in"
    : authenticated.user === undefined ? "Logged in by a link" : `Logged in as ${authenticated.user}`;
  $("log").textContent = isMember ? "Log out" : "Log in";
  $("log").onclick = () => then(isMember);
}
