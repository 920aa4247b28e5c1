// What draws attention to the page when nobody looks at it: title, icon, notifications.

import { safeName } from "./people.js";
import { $ } from "./sidebar.js";

export function drawUnread(unread, topic) {
  const title = topic ? `${topic.name} · natter` : "natter";
  document.title = unread > 0 ? `(${unread}) ${title}` : title;
  const icon = unread > 0 ? "/-/page/icon-unread.svg" : "/-/page/icon.svg";
  if ($("icon").getAttribute("href") !== icon) $("icon").setAttribute("href", icon);
}

// Browsers only allow it to pages of this machine, or over TLS.
const isPossible = () => "Notification" in window && isSecureContext;

export function offerNotifications() {
  $("notify").hidden = !isPossible() || Notification.permission !== "default";
  $("notify").onclick = async () => {
    await Notification.requestPermission();
    offerNotifications();
  };
}

export function notify(topic, { user, text, seq }, onclick) {
  if (!isPossible() || Notification.permission !== "granted") return;
  // Several tabs show the same one: a tag makes one of them.
  const options = { body: text.slice(0, 200), tag: `${topic.name}#${seq}`, icon: "/-/page/icon.svg" };
  const shown = new Notification(`${user === undefined ? "Somebody" : safeName(user)} in ${topic.name}`, options);
  shown.onclick = () => {
    window.focus();
    onclick();
  };
}
