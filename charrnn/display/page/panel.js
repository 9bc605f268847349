// Beside the text: the chosen place, the list of cells, the strips that show a cell over the whole text.

let place = 0;

const percent = (chance) => (chance < 3 ? "<1 %" : `${Math.round(chance / 2.55)} %`);

function describe(where) {
  const lines = [`character ${(about.offset + where + 1).toLocaleString("en")} of ${(about.offset + ids.length).toLocaleString("en")}`];
  const bits = bitsAt(where);
  lines.push(bits === null ? "surprise not known" : `surprise ${bits.toFixed(1)} bits`);
  return lines.join("\n");
}

function valueText(where, s = view.signals[0]) {
  if (!view.cell) return "";
  const value = valueAt(view.cell, where, s);
  return `${value < 0 ? "\u2212" : about.signals[s].unit ? "" : "+"}${Math.abs(value).toFixed(2)}`;
}

function show(where) {
  look(where);
  const letter = element("letter");
  letter.textContent = shown(ids[where]);
  letter.className = mainClasses()[mainValues()[where] & 255];
  element("value").textContent = view.head ? `head ${view.head.name}` : view.cell ? `${view.cell.name}  ${valueText(where)}` : "";
  element("tracks").textContent = (view.head ? view.head.note : view.cell?.tracks) ?? "";
  element("where").textContent = describe(where);
  showSignals(where);
  const rows = [];
  for (let k = 0; k < about.guesses; k++) {
    const id = guesses()[where * about.guesses + k], chance = chances()[where * about.guesses + k];
    const row = document.createElement("li"), name = document.createElement("b");
    const meter = document.createElement("meter"), part = document.createElement("em");
    name.textContent = shown(id);
    meter.max = 255;
    meter.value = chance;
    part.textContent = percent(chance);
    meter.setAttribute("aria-label", part.textContent);
    if (where + 1 < ids.length && ids[where + 1] === id) { row.className = "true"; row.title = "This is what came"; }
    row.append(name, meter, part);
    rows.push(row);
  }
  element("guesses").replaceChildren(...rows);
}

function say() {
  const next = guesses()[place * about.guesses];
  const expected = about.guesses ? `, expects ${shown(next)}` : "";
  const rows = strips().map((s) => `, ${about.signals[s].name} ${valueText(place, s)}`).join("");
  const cell = view.cell ? `cell ${view.cell.name} ${view.cell.tracks} ${valueText(place)}${rows}` : "";
  element("said").textContent = `${shown(ids[place])}, ${describeLooks()}${cell}, ${describe(place)}${expected}`;
}

function go(where, scroll = true) {
  chunkOf(place).node.querySelector(".here")?.classList.remove("here");
  place = Math.max(0, Math.min(ids.length - 1, where));
  const span = spanAt(place);
  span.classList.add("here");
  if (scroll) span.scrollIntoView({ block: "nearest" });
  show(place);
  drawOverview();
}

function colourOf(name) {
  const probe = colourOf.probe ??= document.body.appendChild(Object.assign(document.createElement("i"), { hidden: true }));
  probe.className = name;
  return getComputedStyle(probe).backgroundColor;
}

// Values that share a pixel are averaged.
function drawStrip(canvas, values, classes) {
  const width = canvas.width, pen = canvas.getContext("2d");
  const palette = new Map();
  for (let x = 0; x < width; x++) {
    const first = Math.floor((x * ids.length) / width);
    const last = Math.max(first + 1, Math.floor(((x + 1) * ids.length) / width));
    let sum = 0;
    for (let k = first; k < last; k++) sum += values[k];
    const name = classes[Math.round(sum / (last - first)) & 255];
    if (!palette.has(name)) palette.set(name, colourOf(name));
    pen.fillStyle = palette.get(name);
    pen.fillRect(x, 0, 1, canvas.height);
  }
}

function drawOverview(fresh = false) {
  const canvas = element("overview"), picture = drawOverview.picture ??= document.createElement("canvas");
  const width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio)), height = Math.round(30 * devicePixelRatio);
  if (fresh || canvas.width !== width) {
    canvas.width = picture.width = width;
    canvas.height = picture.height = height;
    drawStrip(picture, view.bySurprise && !view.head ? surprise.map((value) => (value === UNKNOWN ? 0 : value)) : mainValues(), mainClasses());
  }
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--ink");
  pen.fillRect((place / ids.length) * width - devicePixelRatio, 0, 2 * devicePixelRatio, height);
}

function drawLegend() {
  const signal = about.signals[view.signals[0]], unit = view.head || view.bySurprise || signal.unit;
  element("meaning").textContent = view.head ? `where head ${view.head.name} looks` : view.bySurprise ? "surprise" : signal.meaning;
  element("low").textContent = view.head ? "0 %" : view.bySurprise ? "0 bits" : unit ? "0" : "\u22121";
  element("high").textContent = view.head ? "50 % or more" : view.bySurprise ? "8 bits or more" : unit ? "1" : "+1";
  element("ramp").replaceChildren(...Array.from({ length: STEPS }, (_, k) => {
    const step = document.createElement("i");
    step.className = (unit ? "s" : "d") + k;
    return step;
  }));
}
