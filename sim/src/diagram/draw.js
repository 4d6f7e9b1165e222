"use strict";
const lines = JSON.parse(document.getElementById("data").textContent);
const svg = document.getElementById("drawing");
const told = document.getElementById("told");
const zoom = document.getElementById("zoom");
const order = ["source", "replicator", "sprag-0", "sprag-1", "sprag-2", "target", "clients"];
const hosts = [...new Set(lines.map(line => line[1]))].filter(host => host)
  .sort((a, b) => (order.indexOf(a) + 99) % 99 - (order.indexOf(b) + 99) % 99);
const kinds = { messages: true, "routine messages": false, notes: true, "keep and debug notes": false, facts: false, commits: true };

// What every process asks again and again: a page without it shows the rest.
const routine = /^(Fetch|ListOffsets|DescribeTopics|DescribeCoordinators|ListGroups|Heartbeat|OffsetFetch)\b/;

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) {
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = text;
    made.append(title);
    made.dataset.line = text;
  }
  svg.append(made);
  return made;
}

function draw() {
  svg.replaceChildren();
  const width = svg.clientWidth || 1200, left = 60, gap = (width - left - 40) / hosts.length;
  const x = host => left + gap * (hosts.indexOf(host) + 0.5);
  const scale = zoom.value / 100;
  const y = at => 10 + at * scale;
  const end = lines.reduce((latest, line) => Math.max(latest, line[0]), 0);
  svg.setAttribute("height", y(end) + 30);
  document.getElementById("hosts").replaceChildren(...hosts.map(host => {
    const name = document.createElement("span");
    name.textContent = host;
    name.style.left = x(host) - 12 + "px";
    return name;
  }));
  const step = [10, 50, 100, 500, 1000, 5000].find(millis => millis * scale > 40) || 10000;
  for (let at = 0; at <= end; at += step) {
    element("line", { x1: left, x2: width, y1: y(at), y2: y(at), class: "grid" });
    element("text", { x: 4, y: y(at) + 4, class: "time" }).textContent = at + " ms";
  }
  for (const host of hosts) {
    element("line", { x1: x(host), x2: x(host), y1: 0, y2: y(end), class: "lane" });
  }
  bars(x, y, end);
  if (kinds.messages) messages(x, y);
  marks(x, y);
}

// Freezes and downtimes as bars on their lane, other faults as bars beside it.
function bars(x, y, end) {
  const open = new Map();
  const bar = (begun, at) => {
    const [since, host, kind, , says] = begun;
    const text = `${since}–${at} ms ${host}: ${kind === "fault" ? says : begun[3]}`;
    if (kind === "fault") {
      const beside = x(host) - 14 - 5 * (begun.slot || 0);
      element("line", { x1: beside, x2: beside, y1: y(since), y2: y(at), class: "fault" }, text);
    } else {
      element("rect", { x: x(host) - 9, width: 18, y: y(since), height: Math.max(y(at) - y(since), 2), class: kind }, text);
    }
  };
  for (const line of lines) {
    const [at, host, kind, begins, says] = line;
    const key = kind === "fault" ? host + says : host + ({ thawed: "frozen", up: "down" }[kind] || kind);
    if (kind === "frozen" || kind === "down" || (kind === "fault" && begins)) {
      line.slot = [...open.values()].filter(other => other[1] === host && other[2] === "fault").length;
      open.set(key, line);
    } else if (open.has(key) && (kind === "thawed" || kind === "up" || kind === "fault")) {
      bar(open.get(key), at);
      open.delete(key);
    }
  }
  for (const begun of open.values()) bar(begun, end);
}

function messages(x, y) {
  const sent = new Map(), answered = new Map();
  const arrow = (from, to, kind, text) => {
    const [x1, y1, x2, y2] = [x(from[1]), y(from[0]), x(to[1]), y(to[0])];
    element("line", { x1, y1, x2, y2, class: kind }, text);
    const head = x2 > x1 ? -6 : 6;
    element("path", { d: `M${x2 + head},${y2 - 3}L${x2},${y2}L${x2 + head},${y2 + 3}`, class: kind });
  };
  const lost = line => {
    const [at, host, , number, to, says] = line;
    const far = x(host) + (x(to) - x(host)) * 0.4, down = y(at + 20);
    element("line", { x1: x(host), y1: y(at), x2: far, y2: down, class: "lost" }, `${at} ms #${number} ${host} to ${to}, never arrived: ${says}`);
    element("path", { d: `M${far - 4},${down - 4}l8,8m0,-8l-8,8`, class: "cross" });
  };
  const hidden = new Set();
  for (const line of lines) {
    const [at, host, kind, number] = line;
    if (kind === "sent" && routine.test(line[5]) && !kinds["routine messages"]) hidden.add(number);
    if (hidden.has(number)) continue;
    if (kind === "sent") sent.set(number, line);
    if (kind === "answered") answered.set(number, line);
    if (kind === "arrived" && sent.has(number)) {
      const from = sent.get(number);
      arrow(from, line, "sent", `${from[0]}–${at} ms #${number} ${from[1]} asks ${host}: ${from[5]}`);
      sent.get(number).arrived = true;
    }
    if (kind === "received" && answered.has(number)) {
      const from = answered.get(number);
      arrow(from, line, "answered", `${from[0]}–${at} ms #${number} ${from[1]} answers ${host}: ${from[5]}`);
      from.arrived = true;
    }
    if (kind === "unanswered" && sent.has(number)) {
      lost([at, host, kind, number, sent.get(number)[1], "its answer"]);
    }
  }
  for (const line of [...sent.values(), ...answered.values()]) if (!line.arrived) lost(line);
}

function marks(x, y) {
  for (const line of lines) {
    const [at, host, kind] = line;
    if (kind === "told") {
      const [, , , level, event, reason, says] = line;
      if (!(level === "DEBUG" ? kinds["keep and debug notes"] : kinds.notes)) continue;
      const text = `${at} ms ${host} ${level} ${event}${reason ? " (" + reason + ")" : ""}: ${says}`;
      element("circle", { cx: x(host), cy: y(at), r: reason ? 5 : 3.5, class: level }, text);
    } else if (kind === "fact" && kinds.facts) {
      element("rect", { x: x(host) + 8, y: y(at) - 2, width: 4, height: 4, class: "fact" }, `${at} ms ${host}: ${line[3]}`);
    } else if (kind === "committed" && kinds.commits) {
      const [cx, cy] = [x(host), y(at)];
      element("path", { d: `M${cx},${cy - 6}l6,6l-6,6l-6,-6z`, class: "committed" }, `${at} ms committed: ${line[3]}`);
    } else if (kind === "violation") {
      const [cx, cy] = [x(host), y(at)];
      element("path", { d: `M${cx},${cy - 14}l14,14l-14,14l-14,-14z`, class: "violation" }, `${at} ms ${line[3]}`);
    }
  }
}

document.getElementById("filters").append(...Object.keys(kinds).map(kind => {
  const label = document.createElement("label"), box = document.createElement("input");
  box.type = "checkbox";
  box.checked = kinds[kind];
  box.onchange = () => { kinds[kind] = box.checked; draw(); };
  label.append(box, kind);
  return label;
}));
let kept = false;
svg.onmousemove = event => {
  const text = event.target.dataset && event.target.dataset.line;
  if (text && !kept) told.textContent = text;
};
svg.onclick = event => {
  const text = event.target.dataset && event.target.dataset.line;
  kept = Boolean(text);
  if (text) told.textContent = text;
};
zoom.oninput = draw;
window.onresize = draw;
draw();
