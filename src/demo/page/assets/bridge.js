// The bridge: how it fares, what can be made to fail, and the way of each message.

import { clock, duration, h, post, sync, tell } from "./dom.js";
import * as map from "./map.js";

const $ = (id) => document.getElementById(id);
const STATIONS = ["received", "verified", "stored", "asked", "answered", "delivered"];
const SHOWN = 3;
const LIVES = {
  starting: ["starting …", "busy"],
  running: ["running", "good"],
  killed: ["killed", "bad"],
  ended: ["ended", "bad"],
};
let shown = null;
let lastLife = null;

export function begin() {
  map.draw($("map"));
  for (const radio of document.querySelectorAll('input[name="agent"]')) radio.addEventListener("change", setMoods);
  $("slack-limited").addEventListener("change", setMoods);
  $("whatsapp-limited").addEventListener("change", setMoods);
  $("again").addEventListener("click", () => act("again"));
  $("forge").addEventListener("click", () => act("forge"));
  $("kill").addEventListener("click", () => act("bridge", { to: lives() ? "kill" : "start" }));
}

const lives = () => ["running", "starting"].includes(shown?.bridge.life);

function act(path, body) {
  post(path, body).catch((error) => tell(error.message));
}

function setMoods() {
  act("moods", {
    agent: document.querySelector('input[name="agent"]:checked').value,
    slack_limited: $("slack-limited").checked,
    whatsapp_limited: $("whatsapp-limited").checked,
  });
}

export function show(snapshot) {
  shown = snapshot;
  showLife(snapshot.bridge);
  showMoods(snapshot);
  map.show(snapshot);
  const ways = [...snapshot.ways].reverse();
  sync($("ways"), ways.slice(0, SHOWN), (way) => way.number, card, "Nobody has written yet.");
  sync($("earlier"), ways.slice(SHOWN), (way) => way.number, card, "None.");
}

function showLife({ life, pid, waiting }) {
  const [words, kind] = LIVES[life];
  $("life").textContent = pid ? `${words}, process ${pid}` : words;
  $("life").className = kind;
  $("waiting").textContent = waiting === 1 ? "1 message" : `${waiting} messages`;
  $("waiting").className = waiting ? "busy" : "";
  const button = $("kill");
  button.textContent = lives() ? "Kill the daemon" : "Start it again";
  button.className = lives() ? "danger" : "revive";
  button.disabled = life === "starting";
  if (lastLife && lastLife !== life) tell(`The daemon: ${words}.`);
  lastLife = life;
}

function showMoods({ moods, ownAgent, again }) {
  document.querySelector(`input[name="agent"][value="${moods.agent}"]`).checked = true;
  $("slack-limited").checked = moods.slack_limited;
  $("whatsapp-limited").checked = moods.whatsapp_limited;
  $("agent-mood").disabled = ownAgent;
  $("again").disabled = !again;
  if (ownAgent) $("agent-hint").textContent = "Your own agent answers: the page does not see its side.";
}

function card(way) {
  const states = STATIONS.map((station) => state(way.steps, station));
  const next = states.findIndex((known) => !known.done);
  const failed = way.steps.at(-1)?.failed ?? false;
  const where = way.platform === "slack" ? "Slack" : "WhatsApp";
  return h(
    "li",
    { class: failed ? "bad" : "" },
    h(
      "p",
      { class: "way-head" },
      h("strong", { text: way.who }),
      `${where} · ${way.label.replace(/, thread .*/, ", thread")}`,
      h("time", { text: clock(way.at, true) }),
    ),
    h("p", { class: "way-text", text: way.text }),
    h("ol", { class: "stations" }, ...STATIONS.map((station, index) => stop(station, states[index], index === next))),
    note(way.steps),
  );
}

/** What became of a way at a station: the last word counts. */
function state(steps, station) {
  const there = steps.filter((step) => step.station === station);
  const latest = there.at(-1);
  return { done: there.some((step) => !step.failed), failed: latest?.failed ?? false, step: latest };
}

function stop(name, { done, failed, step }, next) {
  const kind = failed ? "failed" : done ? "done" : next ? "next" : "";
  const words = { failed: "failed", done: "", next: "waits", "": "" }[kind];
  return h(
    "li",
    { class: kind },
    h("i", { "aria-hidden": "true", text: failed ? "!" : done ? "✓" : "" }),
    name,
    h("b", { text: step ? duration(step.after_ms) : "" }),
    words ? h("span", { class: "unseen", text: words }) : null,
  );
}

/** The latest thing that there are words for. */
function note(steps) {
  const last = steps.findLast((step) => step.note);
  if (!last) return h("p", { class: "note", text: "\u00a0" });
  const times = last.times > 1 ? ` (${last.times} times)` : "";
  const current = last === steps.at(-1);
  return h("p", { class: last.failed && current ? "note bad" : "note", text: `${last.note}${times}` });
}
