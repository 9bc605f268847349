// The text that the network writes: buttons, sliders, guesses, colours.

const GUESSES = 10, QUICKEST = 10; // of the slider of the speed: as quick as it can
const PRIME_MOST = 2000, BEGINNING = 400; // characters

const app = {
  network: null, about: null, tape: null,
  place: -1, // the character that is looked at: the last one that was read there
  cell: 0, running: false, owed: 0, seen: 0,
  temperature: 0.8, topK: 0, seed: 1, rate: 5,
  holds: new Map(), // cells and the values that they are held at
  painter: null, // what colours the text instead of the cell
  spans: [], painters: [], listeners: [], sayings: [], keys: {},
};

// What can colour the text besides the signals of the cell, by its value in the list; ``shows`` is the kind of network that it is for.
const SURPRISE = {
  value: "", meaning: "surprise: \u2212log\u2082 of the character's probability", low: "0 bits", high: `${MOST_BITS} bits or more`,
  shade: (place) => shade((app.tape.bits[place] ?? 0) / MOST_BITS, true),
};
app.painters.push(SURPRISE);

const last = () => app.tape.length - 1;
const symbol = (id) => app.about.symbols[id];
const cellName = (cell) => `${Math.floor(cell / app.network.hidden)}:${cell % app.network.hidden}`;

// The ids of a text, and the characters of it that the network does not know.
function encode(text) {
  const units = app.about.isBytes ? [...new TextEncoder().encode(text)] : [...text].map((each) => each.codePointAt(0));
  const known = units.filter((unit) => app.about.ids.has(unit));
  const unknown = [...new Set(units.filter((unit) => !app.about.ids.has(unit)))];
  return { ids: known.map((unit) => app.about.ids.get(unit)), unknown: unknown.map((unit) => visible(String.fromCodePoint(unit))) };
}

// Take a network into the page: ``about`` has its symbols, points (code points or bytes), lineStart, isBytes, title.
function use(network, about) {
  Object.assign(app, { network, about: { ...about, ids: new Map(about.points.map((point, id) => [point, id])) }, cell: 0 });
  app.holds.clear();
  const signals = element("signal");
  signals.replaceChildren(...network.signals.map(({ name, meaning }) => make("option", { value: name, textContent: meaning })));
  signals.append(...app.painters.filter(({ shows = network.shows }) => shows === network.shows).map(({ value, meaning }) => make("option", { value, textContent: meaning })));
  app.painter = null;
  app.tape = new Tape(network, network.signals[0]);
  element("top-k").max = network.vocabulary;
  setTopK(0);
  element("network").textContent = about.title;
  beginText(element("prime").value);
  writeBeginning();
  for (const each of app.listeners) each();
}

function beginText(text) {
  pause();
  const { ids, unknown } = encode(text.slice(0, PRIME_MOST));
  app.tape.begin(ids.length ? null : app.about.lineStart);
  for (const id of ids) app.tape.push(id, true);
  app.place = last();
  const left = unknown.length ? `Left out, since the network does not know ${unknown.length === 1 ? "it" : "them"}: ${unknown.slice(0, 10).join(" ")}. ` : "";
  tell(left + (text.length > PRIME_MOST ? `Only the first ${whole(PRIME_MOST)} characters were read.` : ""));
  compareHolds();
  refresh();
}

// The page opens with a text, as far as a moment's work goes.
function writeBeginning() {
  const stop = performance.now() + 150;
  while (app.tape.length < BEGINNING && performance.now() < stop) writeOne();
  app.cell = mostStructured();
  refresh();
}

// The cell whose values are most alike five characters apart: what it holds lasts longer than a letter.
function mostStructured() {
  const { tape } = app, count = tape.length, lag = 5;
  let best = 0, most = -Infinity;
  for (let cell = 0; cell < tape.cells; cell++) {
    const values = Array.from({ length: count }, (_, place) => tape.value(place, cell)), mean = values.reduce((sum, value) => sum + value, 0) / count;
    let own = 0, shifted = 0;
    values.forEach((value, k) => {
      own += (value - mean) ** 2;
      if (k >= lag) shifted += (value - mean) * (values[k - lag] - mean);
    });
    if (own / count > 0.01 && shifted / own > most) { best = cell; most = shifted / own; }
  }
  return best;
}

const chosenId = (place) => choose(app.network.logits, app.network.vocabulary, app.temperature, app.topK, uniform(app.seed, place));

// Write a character after the place that is looked at; what came after it is gone.
function writeOne() {
  app.tape.cut(app.place + 1);
  app.tape.push(chosenId(app.tape.length), false);
  app.place = last();
}

const isFull = () => app.place === last() && app.tape.length >= MOST;

function stepOn() {
  pause();
  if (app.place < last()) app.place++;
  else if (!isFull()) writeOne();
  saySo();
  refresh();
}

function stepBack() { pause(); goTo(app.place - 1); }

function goTo(place) {
  app.place = Math.max(app.tape.first === null ? Math.min(0, last()) : -1, Math.min(last(), place));
  saySo();
  refresh();
}

function takeGuess(id) {
  app.tape.cut(app.place + 1);
  if (!isFull()) app.tape.push(id, true);
  app.place = last();
  saySo();
  refresh();
}

function run() {
  if (isFull()) { tell(`The text has ${whole(MOST)} characters, the most that the page keeps.`); return; }
  Object.assign(app, { running: true, owed: 0, seen: performance.now() });
  showRunning();
  requestAnimationFrame(frame);
}

function pause() {
  if (!app.running) return;
  app.running = false;
  showRunning();
  tell(`Paused after ${whole(app.tape.length)} characters.`);
}

function showRunning() {
  element("run").textContent = app.running ? "Pause" : "Write";
  element("run").setAttribute("aria-pressed", app.running);
}

// Characters a second of the slider: 1, 2, 3, 6, 10, ... 320, then as many as there is time for.
const perSecond = () => (app.rate >= QUICKEST ? Infinity : Math.round(10 ** (app.rate / 3.6)));

// Who wants less motion sees the text twice a second.
function frame(now) {
  if (!app.running) return;
  if (calm.matches && now - app.seen < 500) { requestAnimationFrame(frame); return; }
  app.owed = perSecond() === Infinity ? MOST : Math.min(app.owed + (perSecond() * Math.max(0, now - app.seen)) / 1000, MOST);
  app.seen = now;
  const stop = performance.now() + 8;
  while (app.owed >= 1 && !isFull() && performance.now() < stop) { writeOne(); app.owed--; }
  refresh();
  if (isFull()) { pause(); tell(`The text has ${whole(MOST)} characters, the most that the page keeps.`); return; }
  requestAnimationFrame(frame);
}

// The prime and the characters that were chosen by hand stay.
function writeAgain() {
  pause();
  app.tape.again(chosenId);
  app.place = last();
  compareHolds();
  tell(`${whole(app.tape.length)} characters are written again.`);
  refresh();
}

function tell(text) { element("said").textContent = text; }

// For people who hear the page.
function saySo() {
  if (app.place < 0) { tell("before the first character"); return; }
  const guess = app.tape.after(app.place, ({ logits, vocabulary }) => largest(logits, vocabulary, 1)[0]);
  tell(`${lone(symbol(app.tape.ids[app.place]))}, character ${app.place + 1} of ${app.tape.length}, cell ${cellName(app.cell)} ${signed(app.tape.value(app.place, app.cell))}, expects ${lone(symbol(guess))}${app.sayings.map((each) => each()).join("")}`);
}

// The class of a character: the colour of the cell after it, or that of the painter.
function classAt(place) {
  const { tape } = app, id = tape.ids[place];
  const look = app.painter ? app.painter.shade(place) : shade(tape.value(place, app.cell), tape.signal.unit);
  return look + (symbol(id) === "\n" ? " newline" : "") + (tape.given[place] ? " given" : "") + (place === app.place ? " here" : "");
}

// Paint the text. Only what is new or changed is touched.
function paint() {
  const { tape, spans } = app, text = element("text"), more = document.createDocumentFragment();
  app.painter?.look?.();
  while (spans.length > tape.length) spans.pop().node.remove();
  for (let place = 0; place < tape.length; place++) {
    let span = spans[place];
    if (!span) {
      spans.push((span = { node: make("span"), content: "", name: "" }));
      more.append(span.node);
    }
    const content = symbol(tape.ids[place]), name = classAt(place);
    if (span.content !== content) span.node.textContent = span.content = content;
    if (span.name !== name) span.node.className = span.name = name;
  }
  text.append(more);
  const here = spans[app.place]?.node;
  if (here && (here.offsetTop + here.offsetHeight > text.scrollTop + text.clientHeight || here.offsetTop < text.scrollTop)) {
    text.scrollTop = here.offsetTop - text.clientHeight / 2;
  }
}

// The buttons of the guesses stay: they can be clicked while the network writes.
const rows = Array.from({ length: GUESSES }, () => {
  const row = { id: 0, name: make("b"), bar: make("meter", { set: { "aria-hidden": "true" } }), part: make("em") };
  row.button = make("button", { className: "guess", onclick: () => { pause(); takeGuess(row.id); } }, row.name, row.bar, row.part);
  row.item = make("li", {}, row.button);
  element("guesses").append(row.item);
  return row;
});

function showGuesses() {
  const { network, tape, place } = app, count = network.vocabulary, knows = place >= 0 || tape.first !== null;
  const logits = knows ? tape.after(place, (each) => each.logits.slice(0, count)) : [];
  const ids = knows ? largest(logits, count, GUESSES) : [], chances = knows ? softmax(logits, count) : [];
  rows.forEach((row, k) => {
    const id = ids[k], cut = app.topK > 0 && k >= app.topK, came = place < last() && tape.ids[place + 1] === id;
    row.item.hidden = id === undefined;
    if (row.item.hidden) return;
    row.id = id;
    row.name.textContent = lone(symbol(id));
    row.bar.value = chances[id];
    row.part.textContent = percent(chances[id]);
    row.button.className = `guess${cut ? " cut" : ""}${came ? " came" : ""}`;
    row.button.title = cut ? "top-k leaves it out; click to write it" : came ? "This is what came" : "Click to write it";
    row.button.setAttribute("aria-label", `${lone(symbol(id))}, ${percent(chances[id])}: write it`);
  });
  element("after").textContent = !knows ? "" : place < 0 ? "at the beginning"
    : `after \u201c${lone(symbol(tape.ids[place]))}\u201d, character ${whole(place + 1)} of ${whole(tape.length)}`;
}

let wanted = false;
function refresh() {
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => { wanted = false; draw(); });
}

function draw() {
  paint();
  showGuesses();
  drawCells();
  drawMachine();
}

function setTopK(k) {
  app.topK = k;
  element("top-k").value = k;
  element("top-k-value").textContent = k ? `${k}` : "all";
  refresh();
}

element("begin").addEventListener("submit", (event) => { event.preventDefault(); beginText(element("prime").value); });
element("run").addEventListener("click", () => (app.running ? pause() : run()));
element("step").addEventListener("click", stepOn);
element("back").addEventListener("click", stepBack);
element("again").addEventListener("click", writeAgain);
element("temperature").addEventListener("input", (event) => {
  app.temperature = Number(event.target.value);
  element("temperature-value").textContent = app.temperature.toFixed(2);
});
element("top-k").addEventListener("input", (event) => setTopK(Number(event.target.value)));
element("seed").addEventListener("input", (event) => {
  app.seed = Number(event.target.value) >>> 0;
  element("seed-value").textContent = app.seed;
});
element("rate").addEventListener("input", (event) => {
  app.rate = Number(event.target.value);
  element("rate-value").textContent = perSecond() === Infinity ? "all it can" : `${perSecond()}/s`;
});
element("text").addEventListener("click", (event) => {
  const place = app.spans.findIndex(({ node }) => node === event.target);
  if (place >= 0) { pause(); goTo(place); }
});
