// Brings the part of the page that changes by itself up to date, whenever the server says that it has changed. What
// the server sends is rendered there, with all that people wrote escaped.

const live = document.getElementById("live");
const link = document.getElementById("link");

if (live && link) {
  const events = new EventSource(`/console/events?view=${encodeURIComponent(live.dataset.view)}`);

  events.addEventListener("open", () => say("live", true));
  events.addEventListener("error", () => say("out of reach; it is tried again", false));
  events.addEventListener("trouble", (event) => say(event.data, false));
  events.addEventListener("end", () => {
    events.close();
    location.assign(`/console/login?to=${encodeURIComponent(live.dataset.view)}`);
  });
  events.addEventListener("live", (event) => {
    say("live", true);
    bring(event.data);
  });
}

function say(words, good) {
  if (link.textContent !== words) link.textContent = words;
  link.className = good ? "good" : "bad";
}

/** Puts new content in, without taking from people what they have in hand: the focus, and what they unfolded. */
function bring(html) {
  if (live.dataset.shown === html) return;
  live.dataset.shown = html;
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  if (sameText(fresh.content)) return;
  const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
  const unfolded = [...live.querySelectorAll("details[open][id]")].map((details) => details.id);
  live.replaceChildren(fresh.content);
  for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

/** Whether it is just what stands there already, as at the first event. */
function sameText(content) {
  const shown = document.createElement("div");
  shown.append(content.cloneNode(true));
  return shown.innerHTML === live.innerHTML;
}
