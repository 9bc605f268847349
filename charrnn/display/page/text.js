// The text: chunks that end with a line. Far from the screen a chunk is plain text; near it, a span for each character.
// The first of the signals that are shown, or surprise, or a head, colours the characters; the others are strips under them.

const LEAST_CHUNK = 500, LARGEST_CHUNK = 1500;
const view = { cell: cells[0] ?? null, head: null, bySurprise: about.bySurprise || !cells.length, signals: about.signals.map((_, s) => s), version: 0 };
const chunks = [];
const STRIP = 7;

const mainValues = () => (view.head ? looked : view.bySurprise ? surprise : view.cell.signals[view.signals[0]]());
const mainClasses = () => (view.head ? unitClasses : view.bySurprise ? surpriseClasses : classesOf(view.signals[0]));
const strips = () => (about.signals.length < 2 || !view.cell ? [] : view.signals.slice(view.bySurprise || view.head ? 0 : 1));

function cutEnd(start) {
  const last = Math.min(start + LARGEST_CHUNK, ids.length);
  for (let k = Math.min(start + LEAST_CHUNK, last); k < last; k++) if (ids[k - 1] === about.newline) return k;
  return last;
}

function layOut() {
  const all = document.createDocumentFragment();
  for (let start = 0; start < ids.length; ) {
    const stop = cutEnd(start);
    const node = document.createElement("div");
    node.className = "chunk";
    let text = "", lines = 1, column = 0;
    for (let k = start; k < stop; k++) {
      text += about.symbols[ids[k]];
      if (ids[k] === about.newline || ++column > 88) { lines++; column = 0; }
    }
    node.textContent = text;
    node.chunk = { start, stop, node, lines, built: false, version: -1 };
    chunks.push(node.chunk);
    all.append(node);
    start = stop;
  }
  element("text").append(all);
}

function build(chunk) {
  chunk.built = true;
  const all = document.createDocumentFragment();
  for (let k = chunk.start; k < chunk.stop; k++) {
    const span = document.createElement("span");
    span.textContent = about.symbols[ids[k]];
    all.append(span);
  }
  chunk.node.replaceChildren(all);
}

function paint(chunk) {
  if (!chunk.built) build(chunk);
  if (chunk.version === view.version) return;
  chunk.version = view.version;
  const values = mainValues(), classes = mainClasses();
  const rows = strips().map((s, row) => [view.cell.signals[s](), classesOf(s).map((name) => `--r${row}:var(--${name});`)]);
  let span = chunk.node.firstChild;
  for (let k = chunk.start; k < chunk.stop; k++, span = span.nextSibling) {
    const name = classes[values[k] & 255];
    span.className = ids[k] === about.newline ? `newline ${name}` : name;
    if (about.signals.length > 1) span.style.cssText = rows.map(([own, colours]) => colours[own[k] & 255]).join("");
  }
  if (place >= chunk.start && place < chunk.stop) chunk.node.children[place - chunk.start].classList.add("here");
}

const near = new Set();
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const chunk = entry.target.chunk;
    if (entry.isIntersecting) { near.add(chunk); paint(chunk); } else near.delete(chunk);
  }
}, { root: document.querySelector("main"), rootMargin: "700px 0px" });

function repaint() {
  const rows = strips().length, text = element("text");
  view.version++;
  text.classList.toggle("rows", rows > 0);
  text.style.setProperty("--rows", rows);
  for (const chunk of chunks) chunk.node.style.containIntrinsicSize = `auto ${chunk.lines * (24 + rows * STRIP)}px`;
  near.forEach(paint);
}

function chunkOf(where) {
  let low = 0, high = chunks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (chunks[middle].start <= where) low = middle; else high = middle - 1;
  }
  return chunks[low];
}

function spanAt(where) {
  const chunk = chunkOf(where);
  paint(chunk);
  return chunk.node.children[where - chunk.start];
}

function placeOf(target) {
  const chunk = target.parentNode?.chunk;
  if (!chunk || !chunk.built) return null;
  return chunk.start + Array.prototype.indexOf.call(chunk.node.children, target);
}
