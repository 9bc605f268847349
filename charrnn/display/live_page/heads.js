// Where the heads of a Transformer look: the weights of a chosen head over the last characters, and those of all heads.

const STRONGEST = 0.5; // this weight, and any above it, has the strongest colour
const WEIGHTS = 8, AROUND = 3; // weights in the list; characters before the one that a weight falls on
const NEAR = 4; // characters, itself among them, that most heads look at
const MAP = { label: 34, top: 20, row: 14, gap: 6, narrowest: 14, widest: 22 }; // pixels
const heads = { layer: 0, head: 0, looks: null, map: null };

const hasHeads = () => app.network.shows === "heads";
const headName = (layer = heads.layer, head = heads.head) => `${layer}:${head}`;
const headNumber = () => heads.layer * app.network.heads + heads.head;

// The weights of all heads from the character at a place, by layer, head, and how many characters back; or null.
function looksFrom(place) {
  return place < 0 ? null : app.tape.after(place, (network) =>
    network.parts.map((_, layer) => Array.from({ length: network.heads }, (_, head) => network.attention(layer, head))));
}

const chosenWeights = () => heads.looks?.[heads.layer][heads.head] ?? [];
const lookShade = (weight) => shade(weight / STRONGEST, true);

// The character ``back`` places back, as a reader knows it: the text may begin before its first character, with a line.
const idBack = (back) => (app.place >= back ? app.tape.ids[app.place - back] : app.tape.first);
const lookedAt = (back) => (back ? `${lone(symbol(idBack(back)))} ${back} back` : "itself");

// The text is coloured by the weights of the chosen head.
const LOOKS = {
  value: "head", meaning: "where the head looks", shows: "heads", low: "0 %", high: `${100 * STRONGEST} % or more`,
  look() { heads.looks = looksFrom(app.place); },
  shade: (place) => lookShade(chosenWeights()[app.place - place] ?? 0),
};
app.painters.push(LOOKS);

// ---- the chosen head ---------------------------------------------------------------------------------------------------

// The characters that the head looks at, each in the colour of its weight.
function drawLooked(weights) {
  const box = element("looked"), spans = box.children;
  while (spans.length > weights.length) box.lastChild.remove();
  while (spans.length < weights.length) box.append(make("span"));
  for (let k = 0; k < weights.length; k++) {
    const back = weights.length - 1 - k, id = idBack(back), span = spans[k], content = symbol(id), title = `${percent(weights[back])}, ${back} back`;
    const name = lookShade(weights[back]) + (content === "\n" ? " newline" : "") + (back ? "" : " here");
    if (span.textContent !== content) span.textContent = content;
    if (span.className !== name) span.className = name;
    if (span.title !== title) span.title = title;
  }
  box.scrollTop = box.scrollHeight;
}

function drawWeights(weights) {
  const before = (back) => Array.from({ length: AROUND }, (_, k) => back + AROUND - k).filter((each) => each <= app.place).map((each) => lone(symbol(idBack(each)))).join("");
  element("weights").replaceChildren(...largest(weights, weights.length, WEIGHTS).map((back) =>
    make("li", {}, make("b", {}, make("i", { textContent: before(back) }), lone(symbol(idBack(back)))),
      make("meter", { value: weights[back], set: { "aria-hidden": "true" } }), make("span", { className: "words", textContent: back ? `${back} back` : "itself" }),
      make("em", { textContent: percent(weights[back]) }))));
}

// How far back a head looks on average, and how widely in bits.
function spreadOf(weights) {
  let back = 0, bits = 0;
  weights.forEach((weight, k) => {
    back += k * weight;
    if (weight > 0) bits -= weight * Math.log2(weight);
  });
  return { back, bits };
}

// ---- the map of all heads ----------------------------------------------------------------------------------------------

// Columns for the last characters, as many as have room; if some have none, the first column is the sum of their weights.
function layOutMap() {
  const canvas = element("map"), width = canvas.clientWidth, { layers, heads: count, context } = app.network, room = width - MAP.label - 2;
  const size = Math.floor(Math.max(MAP.narrowest, Math.min(MAP.widest, room / context))), columns = Math.min(context, Math.floor(room / size) - (room < size * context ? 1 : 0));
  heads.map = { width, size, columns, hasMore: columns < context };
  const height = MAP.top + layers * (count * MAP.row + MAP.gap);
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  canvas.style.height = `${height}px`;
}

const rowTop = (layer, head) => MAP.top + layer * (app.network.heads * MAP.row + MAP.gap) + head * MAP.row;
const columnLeft = (back) => MAP.label + (heads.map.columns - 1 - back + (heads.map.hasMore ? 1 : 0)) * heads.map.size;

function drawMap() {
  const canvas = element("map");
  if (canvas.clientWidth !== heads.map?.width) layOutMap();
  const { size, columns, hasMore, width } = heads.map, pen = canvas.getContext("2d"), colours = shadesOf(true), ink = colour("ink"), faint = colour("faint"), mono = colour("mono");
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.clearRect(0, 0, width, canvas.height);
  pen.textBaseline = "middle";
  pen.textAlign = "center";
  pen.font = `${Math.min(13, size - 2)}px ${mono}`;
  const seen = heads.looks[0][0].length, shown = Math.min(seen, columns);
  pen.fillStyle = faint;
  if (hasMore) pen.fillText("\u00ab", columnLeft(columns) + size / 2, MAP.top / 2);
  for (let back = 0; back < shown; back++) {
    pen.fillStyle = back ? ink : colour("accent");
    pen.fillText(lone(symbol(idBack(back))), columnLeft(back) + size / 2, MAP.top / 2);
  }
  const cell = (back, top, weight) => {
    pen.fillStyle = colours[Number(lookShade(weight).slice(1))];
    pen.fillRect(columnLeft(back), top, size - 0.5, MAP.row - 1);
  };
  pen.font = `11px ${mono}`;
  pen.textAlign = "left";
  heads.looks.forEach((layer, l) => layer.forEach((weights, h) => {
    const top = rowTop(l, h), isChosen = l === heads.layer && h === heads.head;
    pen.fillStyle = isChosen ? colour("accent") : faint;
    pen.fillText(headName(l, h), 2, top + MAP.row / 2);
    for (let back = 0; back < shown; back++) cell(back, top, weights[back]);
    if (hasMore && seen > columns) cell(columns, top, weights.subarray(columns).reduce((sum, weight) => sum + weight, 0));
  }));
  pen.strokeStyle = colour("accent");
  pen.lineWidth = 2;
  pen.strokeRect(MAP.label - 1, rowTop(heads.layer, heads.head) - 1.5, (columns + (hasMore ? 1 : 0)) * size + 1, MAP.row + 2);
  element("map-words").textContent = `The strongest colour is a weight of ${LOOKS.high}.` + (hasMore ? ` \u00ab is all that is further back than ${columns - 1} characters.` : "");
}

function headAt(event) {
  const { heads: count } = app.network, block = count * MAP.row + MAP.gap, y = event.offsetY - MAP.top, layer = Math.floor(y / block);
  const head = Math.floor((y - layer * block) / MAP.row);
  return y >= 0 && layer < app.network.layers && head < count ? layer * count + head : null;
}

// ---- the section -------------------------------------------------------------------------------------------------------

const topWords = (weights, count) => largest(weights, weights.length, count).map((back) => `${lookedAt(back)} ${percent(weights[back])}`).join(", ");

views.heads = {
  title: "Where the heads look", link: "Heads", body: "heads-body",
  draw() {
    if (app.painter !== LOOKS) LOOKS.look(); // otherwise the text has been painted by it in this frame
    const weights = chosenWeights(), { back, bits } = spreadOf(weights), { place, tape } = app;
    element("machine-words").textContent = `Head ${headName()} from \u201c${lone(symbol(tape.ids[place]))}\u201d, character ${whole(place + 1)}: it looks ${back.toFixed(1)} characters back on average, ` +
      `and is ${bits.toFixed(1)} bits wide (0 bits are one character, ${Math.log2(app.network.context).toFixed(1)} bits all ${app.network.context} alike).`;
    drawLooked(weights);
    drawWeights(weights);
    drawMap();
    element("paint-looks").setAttribute("aria-pressed", app.painter === LOOKS);
    element("map").setAttribute("aria-label", `The weights of ${heads.looks.flat().length} heads over the last ${weights.length} characters; head ${headName()} is chosen: ${topWords(weights, 3)}`);
  },
  offer() {
    const { network } = app, names = network.parts.flatMap((_, l) => Array.from({ length: network.heads }, (_, h) => headName(l, h)));
    element("head-name").replaceChildren(...names.map((name) => make("option", { value: name, textContent: name })));
    heads.map = null;
    chooseHead(strongestHead());
  },
};

// The head with the largest weight on one character that is not just before: it shows best what heads do.
function strongestHead() {
  const looks = looksFrom(last());
  if (!looks) return 0;
  const most = looks.flat().map((weights) => weights.subarray(NEAR).reduce((high, weight) => Math.max(high, weight), 0));
  return most.indexOf(Math.max(...most));
}

function chooseHead(number) {
  const { heads: count, layers } = app.network, chosen = (number + layers * count) % (layers * count);
  Object.assign(heads, { layer: Math.floor(chosen / count), head: chosen % count });
  element("head-name").value = headName();
  element("signal").querySelector("[value=head]").textContent = `where head ${headName()} looks`;
  refresh();
}

function stepHead(by) {
  if (!hasHeads()) return;
  chooseHead(headNumber() + by);
  saySo();
}

// Colour the text by the head, or again by the cell.
function paintLooks(isWanted) {
  app.painter = isWanted ? LOOKS : null;
  element("signal").value = isWanted ? LOOKS.value : app.tape.signal.name;
  refresh();
}

app.sayings.push(() => (hasHeads() ? `, head ${headName()} looks at ${topWords(looksFrom(app.place)[heads.layer][heads.head], 3)}` : ""));
Object.assign(app.keys, { a: () => stepHead(1), A: () => stepHead(-1) });
element("help").querySelector("dl").append(
  make("dt", { className: "of-heads" }, make("kbd", { textContent: "a" }), " ", make("kbd", { textContent: "A" })),
  make("dd", { className: "of-heads", textContent: "the next head, the head before" }));
app.listeners.push(() => { for (const each of document.querySelectorAll(".of-heads")) each.hidden = !hasHeads(); });
element("head-name").addEventListener("change", (event) => {
  const [layer, head] = event.target.value.split(":").map(Number);
  chooseHead(layer * app.network.heads + head);
});
element("previous-head").addEventListener("click", () => stepHead(-1));
element("next-head").addEventListener("click", () => stepHead(1));
element("paint-looks").addEventListener("click", () => paintLooks(app.painter !== LOOKS));
element("map").addEventListener("click", (event) => {
  const number = headAt(event);
  if (number !== null) { chooseHead(number); saySo(); }
});
element("map").addEventListener("pointermove", (event) => {
  const number = headAt(event);
  if (number === null || !heads.looks) { element("map").title = ""; return; }
  const { size, columns, hasMore } = heads.map, { heads: count } = app.network, weights = heads.looks[Math.floor(number / count)][number % count];
  const back = columns - 1 - (Math.floor((event.offsetX - MAP.label) / size) - (hasMore ? 1 : 0)), name = `head ${headName(Math.floor(number / count), number % count)}`;
  element("map").title = name + (back >= 0 && back < Math.min(columns, weights.length) ? `: ${lookedAt(back)}, ${percent(weights[back])}` : "");
});
