// A small LSTM that is trained in the page: its loss, its gradient, and what it writes while it learns.

const SLICE = 14; // milliseconds of work before the page may draw
const LEAST_TEXT = 200, LARGEST_TEXT = 200000, SAMPLE = 240; // characters
const SAMPLE_EVERY = 1500; // milliseconds
const learning = { trainer: null, running: false, losses: [], seconds: 0, since: 0, symbols: [], points: [], sampled: 0, ids: [] };

// The text's characters as ids; the symbols are in the order of their code points.
function readText(text) {
  const points = [...text.slice(0, LARGEST_TEXT)].map((each) => each.codePointAt(0)), distinct = [...new Set(points)].sort((a, b) => a - b);
  const ids = new Map(distinct.map((point, id) => [point, id]));
  return { points: distinct, symbols: distinct.map((point) => visible(String.fromCodePoint(point))), ids: points.map((point) => ids.get(point)) };
}

function beginLearning() {
  const { points, symbols, ids } = readText(element("training-text").value);
  if (ids.length < LEAST_TEXT) {
    element("learning-said").textContent = `The text has ${ids.length} characters. Give it at least ${LEAST_TEXT}.`;
    return false;
  }
  const trainer = new Trainer(ids, symbols.length, Number(element("units").value), { rate: Number(element("learning-rate").value), seed: app.seed });
  Object.assign(learning, { trainer, points, symbols, ids, losses: [], seconds: 0, sampled: 0, norm: 0 });
  element("sample").textContent = "";
  element("use-trained").disabled = false;
  return true;
}

function startLearning() {
  if (!learning.trainer && !beginLearning()) return;
  pause();
  learning.running = true;
  learning.since = performance.now();
  showLearning();
  channel.port2.postMessage(0);
}

function stopLearning() {
  if (!learning.running) return;
  learning.running = false;
  learning.seconds += (performance.now() - learning.since) / 1000;
  showLearning();
  drawLearning();
  element("learning-said").textContent = `Paused after ${whole(learning.trainer.updates)} updates: ${recentLoss().toFixed(2)} nats a character.`;
}

// A message comes back at once after the page has drawn: a timer would wait 4 ms.
const channel = new MessageChannel();
channel.port1.onmessage = () => {
  if (!learning.running) return;
  const stop = performance.now() + SLICE;
  do {
    const { loss, norm } = learning.trainer.update();
    learning.losses.push(loss);
    learning.norm = norm;
  } while (performance.now() < stop);
  if (!learning.drawing) {
    learning.drawing = true;
    const draw = () => { learning.drawing = false; drawLearning(); };
    if (calm.matches) setTimeout(draw, 1000); else requestAnimationFrame(draw);
  }
  channel.port2.postMessage(0);
};

const mean = (numbers) => numbers.reduce((sum, value) => sum + value, 0) / Math.max(1, numbers.length);
const recentLoss = () => mean(learning.losses.slice(-20));
const learningSeconds = () => learning.seconds + (learning.running ? (performance.now() - learning.since) / 1000 : 0);

function showLearning() {
  element("learn").textContent = learning.running ? "Pause" : learning.trainer ? "Go on" : "Train";
  element("learn").setAttribute("aria-pressed", learning.running);
  for (const name of ["units", "learning-rate", "training-text"]) element(name).disabled = Boolean(learning.trainer);
  element("learn-again").disabled = !learning.trainer;
}

function drawLearning() {
  const { trainer, losses } = learning;
  if (!trainer) return;
  const seconds = learningSeconds(), loss = recentLoss();
  element("learning-numbers").textContent =
    `${whole(trainer.updates)} updates, ${whole(trainer.characters)} characters, ${seconds.toFixed(1)} s (${whole(trainer.characters / Math.max(seconds, 0.01))} a second); ` +
    `loss ${losses.length ? loss.toFixed(3) : "\u2013"} nats (${(loss / Math.LN2).toFixed(2)} bits) a character; norm of the gradient ${learning.norm.toFixed(2)}`;
  drawCurve(losses, Math.log(trainer.vocabulary));
  drawGradient(trainer);
  const now = performance.now();
  if (losses.length && (!learning.sampled || now - learning.sampled > SAMPLE_EVERY || !learning.running)) {
    learning.sampled = now;
    element("sample").textContent = sampleOf(trainer.network(LSTM_SIGNALS));
  }
}

const LSTM_SIGNALS = JSON.parse(element("data-lstm").textContent);

// A sample that begins where a line begins, at the temperature of the page.
function sampleOf(network) {
  const start = Math.max(0, learning.symbols.indexOf("\n"));
  let text = "", id = start;
  network.begin();
  for (let place = 0; place < SAMPLE; place++) {
    network.step(id);
    id = choose(network.logits, network.vocabulary, Math.max(app.temperature, 0.3), 0, uniform(app.seed, place));
    text += learning.symbols[id];
  }
  return text;
}

// The loss of each update, averaged over what shares a pixel, from 0 to that of equal probabilities.
function drawCurve(losses, uniformLoss) {
  const canvas = element("curve"), ratio = devicePixelRatio, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d"), left = 34, bottom = 20, top = Math.max(uniformLoss, 1) * 1.05;
  pen.scale(ratio, ratio);
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = colour("faint");
  pen.strokeStyle = colour("rule");
  const y = (loss) => (height - bottom) * (1 - Math.min(loss, top) / top) + 4;
  for (let nats = 0; nats <= top; nats++) {
    pen.fillText(`${nats}`, 8, y(nats) + 4);
    pen.beginPath();
    pen.moveTo(left - 8, y(nats));
    pen.lineTo(width, y(nats));
    pen.stroke();
  }
  pen.fillText(`${whole(losses.length)} updates`, width - 90, height - 4);
  if (!losses.length) return;
  const room = width - left - 6, per = Math.max(1, losses.length / room);
  pen.beginPath();
  for (let x = 0; x * per < losses.length && x < room; x++) {
    const value = mean(losses.slice(Math.floor(x * per), Math.max(Math.floor(x * per) + 1, Math.floor((x + 1) * per))));
    pen.lineTo(left + (per > 1 ? x : (x * room) / losses.length), y(value));
  }
  pen.strokeStyle = colour("accent");
  pen.lineWidth = 2;
  pen.stroke();
  canvas.setAttribute("aria-label", `Loss after ${losses.length} updates: ${recentLoss().toFixed(2)} nats; at first ${losses[0].toFixed(2)}`);
}

const NAMES = { w_ih_l0: "W\u1d62\u2095", w_hh_l0: "W\u2095\u2095", b_l0: "b", w_out: "W_out", b_out: "b_out" };

// The gradient of W_hh as a picture, blue and orange, and the norm of each parameter's gradient.
function drawGradient(trainer) {
  const { hidden: H } = trainer, G = 4 * H, canvas = element("gradient"), gradient = trainer.gradient.w_hh_l0;
  canvas.width = G;
  canvas.height = H;
  const shades = Array.from({ length: SHADES }, (_, k) => colour(`d${k}`)).map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
  const pen = canvas.getContext("2d"), image = pen.createImageData(G, H);
  let most = 0;
  for (const value of gradient) most = Math.max(most, Math.abs(value));
  gradient.forEach((value, k) => {
    // The square root shows small numbers, too.
    const [r, g, b] = shades[Number(shade(most ? Math.sign(value) * Math.sqrt(Math.abs(value) / most) : 0, false).slice(1))];
    image.data.set([r, g, b, 255], 4 * k);
  });
  pen.putImageData(image, 0, 0);
  const norms = trainer.norms();
  element("norms").replaceChildren(...Object.entries(NAMES).map(([name, letters]) =>
    make("li", {}, make("b", { textContent: letters }), make("meter", { value: norms[name], set: { "aria-hidden": "true" } }), make("em", { textContent: norms[name].toFixed(3) }))));
}

element("learn").addEventListener("click", () => (learning.running ? stopLearning() : startLearning()));
element("learn-again").addEventListener("click", () => {
  stopLearning();
  Object.assign(learning, { trainer: null, losses: [] });
  element("use-trained").disabled = true;
  element("learning-numbers").textContent = element("sample").textContent = "";
  element("learning-said").textContent = "The weights are gone.";
  showLearning();
});
element("use-trained").addEventListener("click", () => {
  stopLearning();
  const { trainer, symbols, points } = learning;
  const title = `an LSTM 1 \u00d7 ${trainer.hidden} that this page trained for ${whole(trainer.updates)} updates`;
  use(trainer.network(LSTM_SIGNALS), { title, symbols, points, isBytes: false, lineStart: Math.max(0, symbols.indexOf("\n")) });
  element("original").hidden = false;
  element("write").scrollIntoView();
  element("run").focus();
});
element("fable").addEventListener("click", () => { if (!learning.trainer) element("training-text").value = FABLE; });
const FABLE = JSON.parse(element("data-fable").textContent);
element("training-text").value = FABLE;
showLearning();
