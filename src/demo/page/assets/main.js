// The playground: one snapshot of the demo after another, each shown whole.

import * as bridge from "./bridge.js";
import * as phone from "./phone.js";
import * as workspace from "./workspace.js";

const link = document.getElementById("link");
const parts = [phone, bridge, workspace];

for (const part of parts) part.begin();

const events = new EventSource("events");
events.onopen = () => {
  link.textContent = "live";
  link.classList.add("live");
};
events.onerror = () => {
  link.textContent = "the demo has ended, or is out of reach";
  link.classList.remove("live");
};
events.onmessage = (event) => {
  const snapshot = JSON.parse(event.data);
  for (const part of parts) part.show(snapshot);
};
