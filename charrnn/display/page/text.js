// The text: chunks that end with a line. Far from the screen a chunk is plain text; near it, a span for each character.

const LEAST_CHUNK = 500, LARGEST_CHUNK = 1500;
const view = { cell: cells[0] ?? null, bySurprise: about.bySurprise || !cells.length, version: 0 };
const chunks = [];

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
    node.style.containIntrinsicSize = `auto ${lines * 24}px`;
    node.chunk = { start, stop, node, built: false, version: -1 };
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
  const values = view.bySurprise ? surprise : view.cell.values();
  const classes = view.bySurprise ? surpriseClasses : cellClasses;
  let span = chunk.node.firstChild;
  for (let k = chunk.start; k < chunk.stop; k++, span = span.nextSibling) {
    const name = classes[values[k] & 255];
    span.className = ids[k] === about.newline ? `newline ${name}` : name;
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
  view.version++;
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
