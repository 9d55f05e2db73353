// The face of PoolMonitor: draws what the kernel measured, and sends back what the sliders and the button say.

const SPOKEN_EVERY = 5000; // milliseconds: a screen reader needs time to finish a sentence
const SIGNS = { C: "…", D: "✕" };
const NAMES = {
  U: "in use",
  I: "idle",
  O: "in use, overflow",
  C: "connecting",
  D: "dead",
  "": "not opened",
};
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
// An overflow connection in use is one of those in use, and is counted there too.
const KEY = [["U", "in use"], ["O", "of them overflow"], ["I", "idle"], ["D", "dead"]];
const OUTCOMES = [
  ["served", "served"],
  ["timed out", "timed out"],
  ["errors", "errors"],
  ["served per second", "served per second"],
  ["p95 wait", "p95 wait"],
];

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

// Writing only what differs keeps the page, and a reader's selection in it, quiet.
function write(node, text) {
  const value = String(text);
  if (node.textContent !== value) node.textContent = value;
}

function several(parent, count, create) {
  while (parent.children.length > count) parent.lastChild.remove();
  while (parent.children.length < count) parent.append(create());
}

// Keys belong to the part that has the focus: JupyterLab would take the arrows to move between cells.
function keepKeys(node) {
  node.setAttribute("data-lm-suppress-shortcuts", "true");
}

function sliders(model, id) {
  const group = make("fieldset", "cpm-sliders");
  group.append(make("legend", "cpm-hidden", "Settings of the pool and of the load"));
  for (const [name, title, unit, least, most, step, fixed] of model.get("sliders")) {
    const box = make("div", "cpm-slider");
    const label = make("label", "", title);
    const input = make("input");
    const shown = make("span", "cpm-value"); // not <output>, which would be spoken a second time
    label.htmlFor = input.id = `${id}-${name}`;
    shown.setAttribute("aria-hidden", "true");
    Object.assign(input, { type: "range", min: least, max: most, step, disabled: fixed });
    input.dataset.name = name;
    keepKeys(input);
    const say = (value) => {
      const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
      const words = value === null ? "unknown" : `${Number(value).toFixed(digits)} ${unit}`.trim();
      write(shown, words);
      input.setAttribute("aria-valuetext", words);
    };
    const follow = () => {
      const value = model.get(name);
      if (document.activeElement !== input || Number(input.value) !== value) input.value = value ?? least;
      say(value);
    };
    input.addEventListener("input", () => say(input.value));
    input.addEventListener("change", () => {
      model.set(name, Number(input.value));
      model.save_changes();
    });
    model.on(`change:${name}`, follow);
    follow();
    if (fixed) box.title = "The engine was given, and its pool stays as it is";
    box.append(label, input, shown);
    group.append(box);
  }
  return group;
}

function stage(title, name) {
  const section = make("section", `cpm-stage ${name}`);
  const heading = make("div", "cpm-title", title);
  section.append(heading);
  section.setAttribute("aria-label", title);
  return [section, heading];
}

function render({ model, el }) {
  const id = `cpm-${Math.random().toString(36).slice(2)}`;
  const root = make("div", "cpm");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Pool monitor");

  const head = make("div", "cpm-head");
  const button = make("button", "cpm-button");
  button.type = "button";
  keepKeys(button);
  button.addEventListener("click", () => model.send({ do: model.get("picture").running ? "stop" : "start" }));
  const message = make("span", "cpm-message");
  head.append(button, message);

  const flow = make("div", "cpm-flow");
  const [waiting, waitingTitle] = stage("Waiting", "cpm-waiting");
  const queue = make("div", "cpm-queue");
  queue.setAttribute("role", "img");
  const more = make("span", "cpm-more");
  waiting.append(queue, more);
  const [pool, poolTitle] = stage("Pool", "cpm-pool");
  const cells = make("div", "cpm-cells");
  cells.setAttribute("role", "img");
  const key = make("ul", "cpm-key");
  const counts = {};
  for (const [letter, name] of KEY) {
    const item = make("li");
    const sample = make("span", "cpm-sample", SIGNS[letter] ?? letter);
    sample.dataset.state = letter;
    sample.setAttribute("aria-hidden", "true");
    counts[name] = make("b", "", "0");
    item.append(sample, make("span", "", name), counts[name]);
    key.append(item);
  }
  pool.append(cells, key);
  const [ends] = stage("Requests", "cpm-ends");
  const table = make("dl", "cpm-counters");
  for (const [row, title] of OUTCOMES) {
    const box = make("div");
    box.dataset.row = row;
    counts[row] = make("dd", "", "0");
    box.append(make("dt", "", title), counts[row]);
    table.append(box);
  }
  ends.append(table);
  const arrow = () => {
    const sign = make("span", "cpm-arrow", "▶");
    sign.setAttribute("aria-hidden", "true");
    return sign;
  };
  flow.append(waiting, arrow(), pool, arrow(), ends);

  const log = make("div", "cpm-log");
  log.setAttribute("role", "log");
  log.setAttribute("aria-label", "Event log");
  log.setAttribute("aria-live", "off"); // the line below speaks for it, seldom enough to be listened to
  log.tabIndex = 0;
  keepKeys(log);
  const spoken = make("div", "cpm-hidden");
  spoken.setAttribute("role", "status");
  spoken.setAttribute("aria-live", "polite");
  root.append(head, sliders(model, id), flow, log, spoken);
  el.append(root);

  let lastSpoken = 0;
  let wasRunning = null;

  function speak(now) {
    const time = Date.now();
    if (now.running === wasRunning && (!now.running || time - lastSpoken < SPOKEN_EVERY)) return;
    const lines = model.get("lines");
    const numbers = Object.fromEntries(now.rows);
    const words = now.rows.length
      ? `${numbers["in use"] ?? 0} in use, ${now.waiting} waiting, ${numbers["timed out"]} timed out. `
      : "";
    write(spoken, `${now.message} ${words}${now.running && lines.length ? lines.at(-1) : ""}`);
    lastSpoken = time;
    wasRunning = now.running;
  }

  function drawCells(now) {
    const slots = now.cells.length ? now.cells : Array.from({ length: now.limit || 1 }, () => ["", null, null]);
    several(cells, slots.length, () => {
      const cell = make("div", "cpm-cell");
      cell.append(make("span", "cpm-letter"), make("span", "cpm-pid"));
      return cell;
    });
    slots.forEach(([letter, number, pid], place) => {
      const cell = cells.children[place];
      cell.dataset.state = letter;
      cell.dataset.overflow = String(Boolean(now.size) && place >= now.size);
      if (pid === null) delete cell.dataset.pid;
      else cell.dataset.pid = pid;
      cell.title = NAMES[letter] + (number === null ? "" : `: connection ${number}`) + (pid === null ? "" : `, PID ${pid}`);
      write(cell.firstChild, SIGNS[letter] ?? letter);
      write(cell.lastChild, pid ?? (number === null ? "" : `#${number}`));
    });
    const tally = {};
    for (const [letter] of slots) tally[NAMES[letter]] = (tally[NAMES[letter]] ?? 0) + 1;
    const words = Object.entries(tally).map(([name, count]) => `${count} ${name}`).join(", ");
    cells.setAttribute("aria-label", `${plural(slots.length, "slot")}: ${words}`);
    const extra = now.size ? slots.length - now.size : 0;
    write(poolTitle, `Pool: ${plural(now.size || slots.length, "slot")}` + (extra > 0 ? ` + ${extra} overflow` : ""));
    return tally;
  }

  function drawQueue(now) {
    several(queue, now.queue.length, () => {
      const chip = make("span", "cpm-chip");
      chip.append(make("span", "cpm-fill"));
      return chip;
    });
    now.queue.forEach((percent, index) => {
      const chip = queue.children[index];
      chip.firstChild.style.height = `${percent}%`;
      chip.dataset.late = String(percent >= 75);
      chip.title = `has waited ${percent} % of its time`;
    });
    write(waitingTitle, `Waiting: ${now.waiting}`);
    const hidden = now.waiting - now.queue.length;
    write(more, now.waiting ? (hidden > 0 ? `and ${hidden} more` : "full bar = time-out") : "nobody waits");
    const longest = now.queue.length ? `, the longest for ${now.queue[0]} % of its time` : "";
    queue.setAttribute("aria-label", `${now.waiting === 1 ? "1 request waits" : `${now.waiting} requests wait`}${longest}`);
  }

  function draw() {
    const now = model.get("picture");
    if (now.running === undefined) return;
    write(button, now.running ? "■ Stop" : "▶ Start");
    root.dataset.running = String(now.running);
    write(message, now.message + (now.running ? ` It stops by itself in ${now.left} s.` : ""));
    const tally = drawCells(now);
    drawQueue(now);
    const numbers = { ...Object.fromEntries(now.rows), "of them overflow": String(tally[NAMES.O] ?? 0) };
    for (const [name, node] of Object.entries(counts)) {
      const value = numbers[name] ?? (name === "p95 wait" ? "–" : "0");
      write(node, value);
      node.parentElement.dataset.zero = String(value === "0");
    }
    speak(now);
  }

  function drawLog() {
    const lines = model.get("lines");
    const below = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    several(log, Math.max(1, lines.length), () => make("div"));
    if (!lines.length) write(log.firstChild, "Connections that open and close, and time-outs, will be listed here.");
    lines.forEach((line, index) => write(log.children[index], line));
    if (below) log.scrollTop = log.scrollHeight;
  }

  model.on("change:picture", draw);
  model.on("change:lines", drawLog);
  draw();
  drawLog();
  return () => {
    model.off("change:picture", draw);
    model.off("change:lines", drawLog);
  };
}

export default { render };
