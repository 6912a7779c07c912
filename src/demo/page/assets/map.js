// The drawing: two banks, the bridge between them, the agent above and the database below. Messages are dots that go
// their way as it is told. Everything that it shows stands in words beside it.

import { s } from "./dom.js";

const PLACES = {
  whatsapp: [62, 122],
  slack: [578, 122],
  "gate-whatsapp": [205, 122],
  "gate-slack": [435, 122],
  middle: [320, 122],
  agent: [320, 82],
  store: [320, 166],
};
const LEG = 260;
const still = matchMedia("(prefers-reduced-motion: reduce)");
const parts = {};
/** By way: how many steps were seen, where its dot is, and what is still to be shown. */
const seen = new Map();
let root = null;
let first = true;

export function draw(svg) {
  root = svg;
  const node = (name, [x, y], label, detail) => {
    parts[name] = s("rect", { class: "node", x: x - 52, y: y - 26, width: 104, height: 52, rx: 14 });
    const words = [s("text", { x, y: detail ? y - 1 : y + 5, text: label })];
    if (detail) words.push((parts[`${name}-detail`] = s("text", { class: "small", x, y: y + 15, text: detail })));
    return s("g", {}, parts[name], ...words);
  };
  const hangers = [];
  for (let x = 180; x <= 460; x += 20) {
    const t = (x - 205) / 230;
    const y = x < 205 || x > 435 ? 122 - 46 + Math.abs(x - (x < 205 ? 205 : 435)) * 0.51 : 76 + 148 * t * (1 - t);
    hangers.push(s("line", { class: "hanger", x1: x, x2: x, y1: y, y2: 122 }));
  }
  const span = s(
    "g",
    { class: "span" },
    ...hangers,
    s("path", { class: "cable", d: "M115 122 205 76Q320 150 435 76L525 122" }),
    s("rect", { class: "tower", x: 201, y: 70, width: 8, height: 84, rx: 3 }),
    s("rect", { class: "tower", x: 431, y: 70, width: 8, height: 84, rx: 3 }),
    s("path", { class: "deck", d: "M115 122H525" }),
  );
  const wave = (y) => s("path", { class: "water", d: `M130 ${y}q15-6 30 0t30 0 30 0 30 0 30 0` });
  const wave2 = (y) => s("path", { class: "water", d: `M360 ${y}q15-6 30 0t30 0 30 0 30 0 30 0` });
  svg.append(
    wave(170),
    wave2(182),
    s("path", { class: "road", d: "M320 72V122M320 122V174" }),
    span,
    node("whatsapp", PLACES.whatsapp, "WhatsApp", "number"),
    node("slack", PLACES.slack, "Slack", "workspace"),
    node("agent", [320, 44], "Agent", "well"),
    store([320, 192]),
    s("text", { class: "small", x: 205, y: 66, text: "signature" }),
    s("text", { class: "small", x: 435, y: 66, text: "signature" }),
  );
}

function store([x, y]) {
  const side = s("path", { class: "node", d: `M${x - 40} ${y - 14}v26c0 5 18 9 40 9s40-4 40-9v-26` });
  const top = s("ellipse", { class: "node", cx: x, cy: y - 14, rx: 40, ry: 9 });
  return s("g", {}, side, top, s("text", { x, y: y + 10, text: "SQLite" }));
}

export function show({ bridge, moods, ways, ownAgent }) {
  root.classList.toggle("down", bridge.life !== "running");
  mood("agent", moods.agent === "down" ? "ill" : moods.agent === "slow" ? "tired" : "", ownAgent ? "yours" : moods.agent);
  mood("slack", moods.slack_limited ? "tired" : "", moods.slack_limited ? "limited" : "workspace");
  mood("whatsapp", moods.whatsapp_limited ? "tired" : "", moods.whatsapp_limited ? "limited" : "number");
  for (const way of ways) {
    const known = seen.get(way.number) ?? { steps: 0, dot: null, queue: Promise.resolve() };
    const news = way.steps.slice(known.steps);
    known.steps = way.steps.length;
    seen.set(way.number, known);
    // What happened before the page was opened is not played again.
    if (!first && !still.matches) for (const step of news) known.queue = known.queue.then(() => go(known, way, step));
  }
  first = false;
}

function mood(name, kind, detail) {
  parts[name].setAttribute("class", `node ${kind}`);
  parts[`${name}-detail`].textContent = detail;
}

/** Where a step ends, from where the last one did. */
function path(way, { station, failed }) {
  const side = way.platform;
  const gate = `gate-${side}`;
  switch (station) {
    case "received":
      return [side, gate];
    case "verified":
      return [gate, gate];
    case "stored":
      return [gate, "middle", "store"];
    case "asked":
      return ["store", "middle", "agent"];
    case "answered":
      return failed ? ["agent", "middle", "store"] : ["agent", "middle"];
    default:
      return failed ? ["middle", side, "middle"] : ["middle", side];
  }
}

async function go(known, way, step) {
  const legs = path(way, step).map((name) => PLACES[name]);
  known.dot ??= root.appendChild(s("circle", { class: "dot", r: 7 }));
  const { dot } = known;
  dot.setAttribute("class", step.failed ? "dot bad" : "dot");
  const frames = legs.map(([x, y]) => ({ transform: `translate(${x}px, ${y}px)` }));
  const timing = { duration: LEG * Math.max(1, legs.length - 1), easing: "ease-in-out", fill: "forwards" };
  await dot.animate(frames, timing).finished;
  const ends = (step.station === "delivered" && !step.failed) || (step.failed && step.station === "verified");
  if (ends) {
    await dot.animate([{ opacity: 1 }, { opacity: 0 }], { duration: 250, fill: "forwards" }).finished;
    dot.remove();
    known.dot = null;
  }
}
