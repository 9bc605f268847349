// Writing on from the chosen place, with the model's weights in the page: with a cell held, and without.

const READ_BEFORE = 1000, WRITTEN = 300; // characters
const liveNetwork = lazily(() => {
  engine.compile(bytes("code"));
  return engine.networkOf({ ...about.live.model, arrays: engine.decodeArrays(about.live.parameters, bytes("weights")) });
});

// The chosen cell as the engine numbers cells, or null.
function liveCell() {
  if (!view.cell) return null;
  const [layer, unit] = view.cell.name.split(":").map(Number);
  return layer * about.live.model.hidden + unit;
}

// The text up to the chosen place is read, then written on. The same places have the same random numbers.
function writeOn() {
  const network = liveNetwork(), cell = liveCell(), held = element("live-hold").checked && cell !== null;
  const temperature = Number(element("live-temperature").value);
  if (held) network.hold(cell, Number(element("live-held").value));
  network.begin();
  for (let where = Math.max(0, place + 1 - READ_BEFORE); where <= place; where++) network.step(ids[where]);
  let text = "";
  for (let k = 0; k < WRITTEN; k++) {
    const id = engine.choose(network.logits, network.vocabulary, temperature, 0, engine.uniform(1, k));
    text += about.symbols[id];
    network.step(id);
  }
  if (held) network.hold(cell, null);
  element("live-text").textContent = text;
  element("said").textContent = text.slice(0, 80);
}

function showLive() {
  element("live-cell").textContent = view.cell?.name ?? "";
  element("live-temperature-value").textContent = Number(element("live-temperature").value).toFixed(2);
  const held = Number(element("live-held").value);
  element("live-held-value").textContent = (held < 0 ? "\u2212" : "") + Math.abs(held).toFixed(2);
}

element("live").hidden = false;
for (const help of document.querySelectorAll(".live-keys")) help.hidden = false;
element("write-on").addEventListener("click", writeOn);
for (const name of ["live-temperature", "live-hold", "live-held"]) {
  element(name).addEventListener("input", () => { showLive(); writeOn(); });
}
liveKeys.w = writeOn;
liveKeys.refresh = showLive;
