// The heads of a Transformer: while one is chosen, the text is coloured by what it looks at from the character shown.

const heads = about.heads.map((head, k) => ({
  ...head,
  backs: lazily(() => (about.far ? new Uint32Array(bytes(`backs-${k}`).buffer) : bytes(`backs-${k}`))),
  weights: lazily(() => bytes(`weights-${k}`)),
}));
const STRONGEST = 0.5; // this weight, and any above it, has the strongest colour
const looked = new Uint8Array(heads.length ? ids.length : 0); // of each character, the weight on this scale
let lookedAt = [];

// What a head looks at from a character: places and weights, the largest weight first.
function looksFrom(head, where) {
  const found = [];
  for (let k = where * about.looks; k < (where + 1) * about.looks; k++) {
    const weight = head.weights()[k] / 255, back = head.backs()[k];
    if (weight > 0) found.push({ to: where - back, back, weight });
  }
  return found;
}

function recolour(where) {
  const span = spanAt(where), name = mainClasses()[mainValues()[where]];
  span.className = (ids[where] === about.newline ? "newline " : "") + name + (where === place ? " here" : "");
}

// Colour the text by what the chosen head looks at from a character, and list it.
function look(where) {
  const found = view.head ? looksFrom(view.head, where) : [], before = lookedAt;
  for (const to of before) looked[to] = 0;
  lookedAt = found.map(({ to }) => to).filter((to) => to >= 0);
  for (const { to, weight } of found) if (to >= 0) looked[to] = Math.min(255, Math.round((255 * weight) / STRONGEST));
  if (view.head) for (const to of new Set([...before, ...lookedAt])) recolour(to);
  element("looks").replaceChildren(...found.map(({ to, back, weight }) => {
    const row = document.createElement("li"), name = document.createElement("b");
    const meter = document.createElement("meter"), part = document.createElement("em");
    name.textContent = to < 0 ? "\u00ab" : shown(ids[to]);
    meter.value = weight;
    part.textContent = percent(255 * weight);
    row.title = to < 0 ? `before this text, ${back} back` : back ? `${back} back` : "itself";
    meter.setAttribute("aria-label", `${row.title}, ${part.textContent}`);
    row.append(name, meter, part);
    return row;
  }));
}

function describeLooks() {
  if (!view.head) return "";
  const words = looksFrom(view.head, place).slice(0, 3).map(({ to, back, weight }) =>
    `${to < 0 ? "earlier text" : shown(ids[to])} ${back} back ${percent(255 * weight)}`);
  return `head ${view.head.name} looks at ${words.join(", ")}, `;
}

// No head is number -1.
function chooseHead(number) {
  view.head = heads[number] ?? null;
  element("head").value = number;
  refresh();
}

function stepHead(by) {
  chooseHead(((heads.indexOf(view.head) + 1 + by + heads.length + 1) % (heads.length + 1)) - 1);
  say();
}

for (const [number, { name, note }] of [[-1, { name: "none", note: "" }], ...heads.entries()]) {
  const choice = document.createElement("option");
  choice.value = number;
  choice.textContent = `${name} ${note}`.trim();
  element("head").append(choice);
}
element("head").addEventListener("change", (event) => chooseHead(Number(event.target.value)));
element("heads").hidden = !heads.length;
for (const help of document.querySelectorAll(".head-keys")) help.hidden = !heads.length;

const headKeys = heads.length ? { h: () => stepHead(1), H: () => stepHead(-1) } : {};
