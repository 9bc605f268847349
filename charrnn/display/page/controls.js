// Mouse, touch and keys.

const list = element("cells"), text = element("text");

cells.forEach((cell, k) => {
  const row = document.createElement("div"), name = document.createElement("span");
  const note = document.createElement("small"), tracks = document.createElement("small");
  row.setAttribute("role", "option");
  row.id = `option-${k}`;
  name.textContent = cell.name;
  note.textContent = cell.note;
  tracks.textContent = cell.tracks;
  tracks.className = "tracks";
  note.classList.toggle("long", cell.note.length > 9);
  row.title = [cell.note, cell.tracks].filter(Boolean).join("; ");
  row.classList.toggle("weak", cell.weak);
  cell.strip = document.createElement("canvas");
  row.append(name, note, tracks, cell.strip);
  row.addEventListener("click", () => choose(cell));
  cell.row = row;
  list.append(row);
});

function choose(cell) {
  view.cell = cell;
  leaveHead();
  view.bySurprise = false;
  refresh();
}

function leaveHead() {
  view.head = null;
  element("head").value = -1;
}

function refresh() {
  const byCell = view.cell && !view.bySurprise && !view.head;
  element("surprise-button").setAttribute("aria-pressed", view.bySurprise && !view.head);
  for (const cell of cells) cell.row.setAttribute("aria-selected", Boolean(byCell) && cell === view.cell);
  if (byCell) {
    list.setAttribute("aria-activedescendant", view.cell.row.id);
    view.cell.row.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  repaint();
  drawLegend();
  drawOverview(true);
  show(place);
  liveKeys.refresh?.();
}

function drawStrips() {
  for (const cell of cells) {
    cell.strip.width = 160;
    cell.strip.height = 5;
    drawStrip(cell.strip, cell.signals[view.signals[0]](), classesOf(view.signals[0]));
  }
}

function toggleSurprise() {
  view.bySurprise = !view.bySurprise || Boolean(view.head) || !view.cell;
  leaveHead();
  refresh();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  element("theme-button").textContent = theme === "dark" ? "Light" : "Dark";
  drawOverview(true);
  drawStrips();
}

const otherTheme = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");

function stepCell(by) {
  const rows = cells.filter((cell) => !cell.row.hidden);
  if (!rows.length) return;
  const at = rows.indexOf(view.cell);
  choose(rows[at < 0 || view.bySurprise ? Math.max(at, 0) : (at + by + rows.length) % rows.length]);
  say();
}

const isWord = (k) => /[\p{L}\p{N}]/u.test(about.symbols[ids[k]]);

function word(by) {
  let k = place + by;
  while (k > 0 && k < ids.length - 1 && !(isWord(k) && !isWord(k - 1))) k += by;
  return k;
}

function edge(by) {
  let k = place;
  while (by < 0 ? k > 0 && ids[k - 1] !== about.newline : k < ids.length - 1 && ids[k] !== about.newline) k += by;
  return k;
}

const KEYS = {
  ArrowLeft: (event) => go(event.shiftKey ? word(-1) : place - 1),
  ArrowRight: (event) => go(event.shiftKey ? word(1) : place + 1),
  ArrowUp: () => stepCell(-1),
  ArrowDown: () => stepCell(1),
  "[": () => stepCell(-1),
  "]": () => stepCell(1),
  Home: (event) => go(event.ctrlKey ? 0 : edge(-1)),
  End: (event) => go(event.ctrlKey ? ids.length - 1 : edge(1)),
  ...signalKeys,
  ...headKeys,
  w: () => liveKeys.w?.(),
  s: toggleSurprise,
  t: otherTheme,
  "/": () => element("filter").focus(),
  "?": () => element("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (element("help").open) return;
  if (event.target === element("filter")) {
    if (event.key === "Escape") text.focus({ preventScroll: true });
    if (event.key === "Enter") { if (element("none").hidden) stepCell(0); text.focus({ preventScroll: true }); }
    if (!["ArrowUp", "ArrowDown"].includes(event.key)) return;
  }
  if (event.target.closest("#live input")) return;
  if (event.target === element("head")) {
    if (event.key === "Escape") text.focus({ preventScroll: true });
    return;
  }
  const act = KEYS[event.key];
  if (!act || event.altKey || event.metaKey || (event.ctrlKey && !["Home", "End"].includes(event.key))) return;
  event.preventDefault();
  act(event);
  if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) say();
});

text.addEventListener("pointermove", (event) => {
  const where = event.pointerType === "touch" ? null : placeOf(event.target);
  if (where !== null) show(where);
});
text.addEventListener("pointerleave", () => show(place));
text.addEventListener("click", (event) => {
  const where = placeOf(event.target);
  if (where !== null) go(where, false);
});

// Choose the cell of this name. A name that fits no cell is reported, and the list stays whole.
function lookUp(wanted, fitting) {
  for (const cell of cells) cell.row.hidden = fitting.length > 0 && !fitting.includes(cell);
  const exact = cells.find((cell) => cell.name === wanted), none = element("none");
  if (exact) choose(exact);
  none.hidden = fitting.length > 0;
  none.textContent = fitting.length ? "" : `${wanted} is not in this page.` + (/^\d+:\d+$/.test(wanted) ? ` Make it with --cell ${wanted}.` : "");
}

element("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.trim();
  lookUp(wanted, cells.filter((cell) => `${cell.name} ${cell.note} ${cell.tracks}`.includes(wanted)));
});

// page.html#1:37 opens the page at a cell.
function followAddress() {
  const wanted = /^#(\d+:\d+)$/.exec(location.hash)?.[1];
  if (wanted) lookUp(wanted, cells.some((cell) => cell.name === wanted) ? cells : []);
}
addEventListener("hashchange", followAddress);

element("overview").addEventListener("pointerdown", (event) => {
  const jump = (at) => {
    go(Math.floor((at.offsetX / element("overview").clientWidth) * ids.length), false);
    spanAt(place).scrollIntoView({ block: "center" });
  };
  element("overview").setPointerCapture(event.pointerId);
  jump(event);
  element("overview").onpointermove = jump;
  element("overview").onpointerup = () => { element("overview").onpointermove = null; };
});
element("surprise-button").addEventListener("click", toggleSurprise);
element("theme-button").addEventListener("click", otherTheme);
element("help-button").addEventListener("click", () => element("help").showModal());
addEventListener("resize", () => drawOverview(true));

const night = matchMedia("(prefers-color-scheme: dark)");
night.addEventListener("change", () => setTheme(night.matches ? "dark" : "light"));
document.documentElement.dataset.theme = night.matches ? "dark" : "light";
layOut();
chunks.forEach((chunk) => observer.observe(chunk.node));
element("theme-button").textContent = night.matches ? "Light" : "Dark";
refresh();
go(0, false);
followAddress();
// Decoding every cell can wait until there is something to see.
setTimeout(drawStrips, 50);
