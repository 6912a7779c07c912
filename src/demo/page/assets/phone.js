// The phone: one chat, as one of two people.

import { atEnd, clock, composer, h, ideas, post, s, sync } from "./dom.js";

const chat = document.getElementById("chat");
const scroll = chat.parentElement;
const presence = document.getElementById("presence");
let person = "carla";
let last = null;

const IDEAS = ["Is the Skarv jacket waterproof?", "Do you ship to Norway?", "What did I ask before?"];
const TICKS = ["not sent yet", "sent", "taken by the bridge", "read"];

export function begin() {
  composer(document.getElementById("phone-form"), say);
  ideas(document.getElementById("phone-ideas"), IDEAS, say);
  for (const radio of document.querySelectorAll('input[name="person"]')) {
    radio.addEventListener("change", () => {
      person = radio.value;
      chat.replaceChildren();
      if (last) show(last);
    });
  }
}

function say(text) {
  return post("say", { platform: "whatsapp", hidden: person === "dana", text });
}

/** The chat of Dana is the one under a user id; that of Carla is under a phone number. */
function isOurs(entry) {
  if (entry.platform !== "whatsapp") return false;
  const name = entry.place.split("/")[1] ?? "";
  return /^\d+$/.test(name) === (person === "carla");
}

export function show(snapshot) {
  last = snapshot;
  const entries = snapshot.entries.filter(isOurs);
  const stay = !atEnd(scroll) && chat.childElementCount > 1;
  const shown = entries.map(({ typing, ...entry }) => entry);
  sync(chat, shown, (entry) => entry.id, bubble, "Write something: the assistant of Fjord & Pine answers.");
  if (!stay) scroll.scrollTop = scroll.scrollHeight;
  const types = entries.some((entry) => entry.typing) && snapshot.bridge.life === "running";
  const words = types ? "typing …" : "business account";
  if (presence.textContent !== words) presence.textContent = words;
}

function bubble(entry) {
  const mine = entry.who !== null;
  const meta = h("span", { class: "meta" }, clock(entry.at));
  if (mine) meta.append(ticks(entry.ticks));
  return h(
    "li",
    { class: mine ? "mine" : "theirs" },
    h("span", { class: "unseen", text: mine ? "You: " : "Fjord & Pine: " }),
    entry.text,
    meta,
  );
}

/** One tick: WhatsApp has it. Two: the business has it. Blue: it was read. */
function ticks(count) {
  const tick = (x) => s("path", { d: `M${x} 6.5l3 3 6-7` });
  const drawing = s("svg", { viewBox: "0 0 17 11", "aria-hidden": "true" }, tick(1));
  if (count > 1) drawing.append(tick(6));
  return h(
    "span",
    { class: count > 2 ? "ticks read" : "ticks" },
    drawing,
    h("span", { class: "unseen", text: TICKS[count] ?? "" }),
  );
}
