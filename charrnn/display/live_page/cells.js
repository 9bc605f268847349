// All cells as they change, and one that is chosen: its values colour the text, and it can be held.

const ROWS = 10, NARROWEST = 6; // characters that the strip shows; pixels of a cell
const COMPARED = 3000; // characters of a text that is written with and without the held cells
const strip = { bands: [], width: 0, colours: null };

// Bands of cells under each other, as many as fit the width.
function layOutStrip() {
  const canvas = element("strip"), width = canvas.clientWidth, { layers, hidden } = app.network;
  const perBand = Math.min(hidden, Math.max(8, Math.floor(width / NARROWEST))), size = Math.min(14, Math.floor(width / perBand));
  strip.bands = [];
  for (let l = 0; l < layers; l++) {
    for (let first = 0; first < hidden; first += perBand) strip.bands.push({ start: l * hidden + first, count: Math.min(perBand, hidden - first), starts: first === 0 });
  }
  Object.assign(strip, { width, size, row: 4, gap: 12 });
  const ratio = devicePixelRatio, height = strip.bands.length * (ROWS * strip.row + strip.gap);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
}

const bandTop = (k) => k * (ROWS * strip.row + strip.gap) + strip.gap - 4;

// The colours of values from -1 to 1, or from 0 to 1.
function shadesOf(unit) {
  strip.colours ??= ["d", "s"].map((letter) => Array.from({ length: SHADES }, (_, k) => colour(letter + k)));
  return strip.colours[unit ? 1 : 0];
}

function drawStrip() {
  const canvas = element("strip"), { tape, network } = app;
  if (canvas.clientWidth !== strip.width) layOutStrip();
  const unit = tape.signal.unit;
  const colours = shadesOf(unit), pen = canvas.getContext("2d");
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.clearRect(0, 0, strip.width, canvas.height);
  strip.bands.forEach(({ start, count }, k) => {
    for (let row = 0; row < ROWS; row++) {
      const place = app.place - ROWS + 1 + row;
      if (place < 0) continue;
      for (let cell = 0; cell < count; cell++) {
        pen.fillStyle = colours[Number(shade(tape.value(place, start + cell), unit).slice(1))];
        pen.fillRect(cell * strip.size, bandTop(k) + row * strip.row, strip.size, strip.row - (row === ROWS - 1 ? 0 : 0.5));
      }
    }
    const mark = (cell, ink) => {
      if (cell < start || cell >= start + count) return;
      pen.strokeStyle = ink;
      pen.lineWidth = 2;
      pen.strokeRect((cell - start) * strip.size, bandTop(k) - 1, strip.size, ROWS * strip.row + 2);
    };
    for (const cell of app.holds.keys()) mark(cell, colour("ring"));
    mark(app.cell, colour("accent"));
  });
  canvas.setAttribute("aria-label", `The last ${ROWS} characters of ${network.layers * network.hidden} cells; ${cellName(app.cell)} is chosen`);
}

function cellAt(event) {
  const k = strip.bands.findIndex((_, band) => event.offsetY < bandTop(band) + ROWS * strip.row + 6), band = strip.bands[k];
  if (!band) return null;
  const inside = Math.floor(event.offsetX / strip.size);
  return inside >= 0 && inside < band.count ? band.start + inside : null;
}

function drawCells() {
  drawStrip();
  const { tape, place, cell } = app, value = place < 0 ? null : tape.value(place, cell), swatch = element("swatch");
  if (document.activeElement !== element("cell")) element("cell").value = cellName(cell);
  element("cell-value").textContent = value === null ? "" : signed(value, 3);
  swatch.className = value === null ? "" : shade(value, tape.signal.unit);
  const held = app.holds.get(cell);
  element("hold").checked = held !== undefined;
  if (held !== undefined) element("held").value = held;
  element("held-value").textContent = signed(Number(element("held").value));
  element("let-go").hidden = app.holds.size === 0;
  element("held-cells").textContent = app.holds.size ? `Held: ${[...app.holds].map(([each, at]) => `${cellName(each)} at ${signed(at)}`).join(", ")}` : "No cell is held.";
  const unit = Boolean(app.painter) || tape.signal.unit;
  element("low").textContent = app.painter?.low ?? (unit ? "0" : `${MINUS}1`);
  element("high").textContent = app.painter?.high ?? "+1";
  const letter = unit ? "s" : "d";
  if (element("ramp").dataset.scale !== letter) {
    element("ramp").dataset.scale = letter;
    element("ramp").replaceChildren(...Array.from({ length: SHADES }, (_, k) => make("i", { className: letter + k })));
  }
}

function chooseCell(cell) {
  app.cell = cell;
  app.painter = null;
  element("signal").value = app.tape.signal.name;
  refresh();
}

function stepCell(by) {
  const count = app.network.layers * app.network.hidden;
  chooseCell((app.cell + by + count) % count);
  saySo();
}

// Hold a cell at a value, or let it go with null, and write the text again.
function holdCell(cell, value) {
  pause();
  if (value === null) app.holds.delete(cell); else app.holds.set(cell, value);
  app.network.hold(cell, value);
  compareHolds();
  refresh();
}

const meanBits = (bits) => bits.reduce((sum, value) => sum + (value ?? 0), 0) / Math.max(1, bits.filter((value) => value !== null).length);

function applyHolds(held) {
  for (const [cell, value] of app.holds) app.network.hold(cell, held ? value : null);
}

// Write the text again with the held cells, and say what changed. The prime and the chosen characters stay in their places,
// and each place has the random number that it had.
function compareHolds() {
  const { tape, holds } = app, place = app.place, given = tape.given.slice(), isCompared = holds.size > 0 && tape.length > 0;
  element("proof").hidden = !isCompared;
  if (isCompared && tape.length <= COMPARED) {
    applyHolds(false);
    tape.again(chosenId);
    const free = tape.ids.slice(), without = meanBits(tape.bits);
    applyHolds(true);
    readAgain(free, free.map(() => true));
    const withHeld = meanBits(tape.bits);
    readAgain(free, given);
    const parts = free.findIndex((id, k) => id !== tape.ids[k]), more = withHeld - without;
    element("proof-words").textContent =
      `Without a held cell, with the same random numbers, the text would be the one below. The network gives it ${without.toFixed(2)} bits a ` +
      `character; with the held cells ${withHeld.toFixed(2)}, ${Math.abs(more).toFixed(2)} ${more < 0 ? "less" : "more"}. ` +
      (parts < 0 ? "Both texts are equal." : `The texts part at character ${whole(parts + 1)}.`);
    element("free-text").textContent = free.map(symbol).join("");
  } else {
    applyHolds(true);
    tape.again(chosenId);
    element("proof-words").textContent = `The text was written again with the held cells. Up to ${whole(COMPARED)} characters are compared with the text without them.`;
    element("free-text").textContent = "";
  }
  app.place = Math.min(place, last());
}

function readAgain(ids, given) {
  app.tape.begin(app.tape.first);
  ids.forEach((id, place) => app.tape.push(given[place] ? id : chosenId(place), given[place]));
}

element("strip").addEventListener("click", (event) => {
  const cell = cellAt(event);
  if (cell !== null) { chooseCell(cell); saySo(); }
});
element("strip").addEventListener("pointermove", (event) => {
  const cell = cellAt(event);
  element("strip").title = cell === null ? "" : cellName(cell);
});
element("cell").addEventListener("input", (event) => {
  const [layer, unit] = event.target.value.split(":").map(Number), { layers, hidden } = app.network;
  const fits = Number.isInteger(layer) && Number.isInteger(unit) && layer >= 0 && layer < layers && unit >= 0 && unit < hidden;
  event.target.setAttribute("aria-invalid", !fits);
  if (fits) chooseCell(layer * hidden + unit);
});
element("previous-cell").addEventListener("click", () => stepCell(-1));
element("next-cell").addEventListener("click", () => stepCell(1));
element("signal").addEventListener("change", (event) => {
  app.painter = app.painters.find(({ value }) => value === event.target.value) ?? null;
  if (!app.painter) app.tape.show(app.network.signals.find(({ name }) => name === event.target.value));
  refresh();
});
element("hold").addEventListener("change", (event) => holdCell(app.cell, event.target.checked ? Number(element("held").value) : null));
element("held").addEventListener("input", (event) => {
  element("held-value").textContent = signed(Number(event.target.value));
  if (!holdCell.waiting) requestAnimationFrame(() => { holdCell.waiting = false; holdCell(app.cell, Number(element("held").value)); });
  holdCell.waiting = true;
});
element("let-go").addEventListener("click", () => {
  pause();
  applyHolds(false);
  app.holds.clear();
  compareHolds();
  refresh();
});
