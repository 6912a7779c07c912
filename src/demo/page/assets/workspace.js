// The workspace: a channel with its threads, and a direct message.

import { atEnd, clock, composer, h, ideas, post, sync } from "./dom.js";

const $ = (id) => document.getElementById(id);
const posts = $("posts");
const scroll = posts.parentElement;
const IDEAS = ["When are you open?", "Can I return a jacket?", "Can I pay by invoice?"];

/** Where we are: in the channel, in one of its threads (by its root), or in the direct message. */
let view = { kind: "channel" };
let last = null;

export function begin() {
  composer($("workspace-form"), say);
  ideas($("workspace-ideas"), IDEAS, say);
  $("room-channel").addEventListener("click", () => go({ kind: "channel" }, true));
  $("room-direct").addEventListener("click", () => go({ kind: "direct" }, true));
  $("back").addEventListener("click", () => go({ kind: "channel" }, true));
}

async function say(text) {
  const direct = view.kind === "direct";
  const thread = view.kind === "thread" ? view.root : null;
  const said = await post("say", { platform: "slack", direct, thread, text });
  // The answer to a mention comes in its thread: look there.
  if (view.kind === "channel") go({ kind: "thread", root: said.place.split("/")[1] }, false);
}

function go(where, move) {
  view = where;
  posts.replaceChildren();
  if (last) show(last);
  if (move) $("room-title").focus();
}

export function show(snapshot) {
  last = snapshot;
  const [channel, name] = snapshot.slack.channel;
  const here = snapshot.entries.filter((entry) => entry.platform === "slack");
  head(name, snapshot.slack.people);
  const stay = !atEnd(scroll) && posts.childElementCount > 1;
  sync(posts, lines(here, channel), (line) => line.id, row(snapshot.slack), EMPTY[view.kind]);
  if (!stay) scroll.scrollTop = scroll.scrollHeight;
}

const EMPTY = {
  channel: "Nobody has asked anything yet. Mention the assistant.",
  thread: "The thread begins here.",
  direct: "Write to the assistant directly: no mention is needed.",
};

function head(channel, [anna, ben]) {
  const { kind } = view;
  const texts = {
    channel: [channel, `You are ${anna}. The bot answers where it is mentioned.`, `Message in ${channel}`],
    thread: ["Thread", `You are ${anna}. The bot knows this thread.`, "Reply in the thread"],
    direct: ["assistant", `You are ${ben}, in a direct message.`, "Message to assistant"],
  };
  const [title, hint, label] = texts[kind];
  $("room-title").textContent = title;
  $("room-hint").textContent = hint;
  $("workspace-label").textContent = label;
  $("workspace-text").placeholder = label;
  $("mention").hidden = kind !== "channel";
  $("back").hidden = kind !== "thread";
  $("room-channel").setAttribute("aria-current", kind !== "direct");
  $("room-direct").setAttribute("aria-current", kind === "direct");
}

/** What stands in the view: of the channel only what opens threads, with how many replies each has. */
function lines(entries, channel) {
  const root = (entry) => entry.place.split("/")[1];
  if (view.kind === "direct") return entries.filter((entry) => entry.place.startsWith("D"));
  const ours = entries.filter((entry) => entry.place.startsWith(channel));
  if (view.kind === "thread") return ours.filter((entry) => root(entry) === view.root);
  return ours
    .filter((entry) => entry.id === root(entry))
    .map((entry) => ({ ...entry, replies: ours.filter((other) => root(other) === entry.id).length - 1 }));
}

const row = ({ bot }) => (entry) => {
  const name = entry.who ?? bot;
  const item = h(
    "li",
    { class: entry.who ? "" : "bot" },
    h("span", { class: "face", "aria-hidden": "true", text: name[0].toUpperCase() }),
    h(
      "div",
      {},
      h(
        "p",
        { class: "name" },
        name,
        entry.who ? null : h("span", { class: "app", text: "APP" }),
        h("small", { text: clock(entry.at) }),
      ),
      h("div", { class: "text" }, ...mentions(entry.text, bot)),
    ),
  );
  if (entry.replies !== undefined) {
    const count = entry.replies === 1 ? "1 reply" : `${entry.replies} replies`;
    item.append(
      h(
        "button",
        { class: "thread", type: "button", onclick: () => go({ kind: "thread", root: entry.id }, true) },
        `${count} · open thread`,
        h("span", { class: "unseen", text: ` of ${name}: ${entry.text.slice(0, 60)}` }),
      ),
    );
  }
  return item;
};

function mentions(text, bot) {
  return text.split(`@${bot}`).flatMap((part, index) => (index ? [h("b", { text: `@${bot}` }), part] : [part]));
}
