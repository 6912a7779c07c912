// Making elements, and keeping a list of them in step with a list of things.

/** An element. `on…` are listeners, `class` and `text` are what they say, everything else is an attribute. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** An SVG element. */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/**
 * Brings the children of `list` in step with `items`: one that is there already is kept (a screen reader reads only
 * what is new), one that changed is replaced. `empty` is shown where there is nothing.
 */
export function sync(list, items, key, render, empty) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const state = JSON.stringify(item);
    const known = old.get(String(key(item)));
    if (known && known.dataset.state === state) return known;
    const made = render(item);
    made.dataset.key = key(item);
    made.dataset.state = state;
    if (known) {
      // It has come already: it only changes.
      made.classList.add("known");
      known.replaceWith(made);
    }
    return made;
  });
  if (!wanted.length && empty) {
    const there = old.get("empty");
    wanted.push(there ?? h("li", { class: "empty", text: empty, "data-key": "empty" }));
  }
  for (const child of [...list.children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((child, index) => {
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  });
}

/** Whether the end of a list is in view, give or take a line. */
export function atEnd(list) {
  return list.scrollHeight - list.scrollTop - list.clientHeight < 60;
}

/** A duration as people say it. */
export function duration(ms) {
  return ms < 1000 ? `${Math.max(1, ms)} ms` : `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
}

/** The time of the day. */
export function clock(ms, seconds = false) {
  const parts = { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) };
  return new Date(ms).toLocaleTimeString([], parts);
}

/** Posts JSON. Returns the answer's JSON; throws what went wrong, in words. */
export async function post(path, body = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("the demo does not answer; does it still run?");
  }
  const text = await answer.text();
  const json = text ? JSON.parse(text) : null;
  if (!answer.ok) throw new Error(json?.error?.message ?? `the demo answered ${answer.status}`);
  return json;
}

/** Makes a form send what was written: by its button, and by Enter without Shift. */
export function composer(form, send) {
  const area = form.querySelector("textarea");
  const submit = async () => {
    const text = area.value.trim();
    if (!text) return area.focus();
    area.value = "";
    try {
      await send(text);
    } catch (error) {
      area.value = text;
      tell(error.message);
    }
    area.focus();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    }
  });
}

/** Buttons that write what they say. */
export function ideas(place, texts, send) {
  place.append(
    ...texts.map((text) =>
      h("button", {
        type: "button",
        text,
        onclick: () => send(text).catch((error) => tell(error.message)),
      }),
    ),
  );
}

/** Says something to whoever cannot see the page, and shows it if it is a complaint. */
export function tell(words) {
  document.getElementById("news").textContent = words;
}
