// Keys, light and dark, and the beginning.

const KEYS = {
  " ": () => (app.running ? pause() : run()),
  ArrowRight: stepOn,
  ArrowLeft: stepBack,
  Home: () => { pause(); goTo(-1); },
  End: () => { pause(); goTo(last()); },
  "[": () => stepCell(-1),
  "]": () => stepCell(1),
  r: writeAgain,
  h: () => holdCell(app.cell, app.holds.has(app.cell) ? null : Number(element("held").value)),
  s: () => { app.painter = app.painter === SURPRISE ? null : SURPRISE; element("signal").value = app.painter ? "" : app.tape.signal.name; refresh(); },
  t: () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"),
  "?": () => element("help").showModal(),
  ...app.keys,
};
for (let k = 0; k < GUESSES; k++) {
  KEYS[`${(k + 1) % 10}`] = () => {
    showGuesses(); // what is on the screen may be a frame old
    if (!rows[k].item.hidden) rows[k].button.click();
  };
}

document.addEventListener("keydown", (event) => {
  const { target } = event, act = KEYS[event.key];
  if (!act || element("help").open || event.altKey || event.ctrlKey || event.metaKey) return;
  if (target.closest("input, textarea, select") || (target.closest("button, summary, a") && event.key === " ")) return;
  if (target.id === "free-text" && ["Home", "End"].includes(event.key)) return;
  event.preventDefault();
  act();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.closest("input, textarea, select")) element("text").focus({ preventScroll: true });
});

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  element("theme").textContent = theme === "dark" ? "Light" : "Dark";
  strip.colours = null;
  refresh();
  drawLearning();
}

// Characters a second without drawing, from the state at the end of the text, which stays as it is.
function measure(characters = 3000) {
  const { network } = app, end = network.state(), begun = performance.now();
  for (let place = 0, id = 0; place < characters; place++) {
    network.step(id);
    id = choose(network.logits, network.vocabulary, 0.8, 0, uniform(1, place));
  }
  network.restore(end);
  return (1000 * characters) / (performance.now() - begun);
}

const page = JSON.parse(element("data-about").textContent);
const withSIMD = compile(bytesOf(element("data-code").textContent));
const makeNetwork = () => networkOf({ ...page.model, arrays: decodeArrays(page.parameters, bytesOf(element("data-weights").textContent)) });

element("theme").addEventListener("click", KEYS.t);
element("help-button").addEventListener("click", KEYS["?"]);
element("original").addEventListener("click", () => { use(makeNetwork(), page); element("original").hidden = true; });
element("measure").addEventListener("click", () => {
  element("measured").textContent = `${whole(measure())} characters a second, ${withSIMD ? "with WebAssembly SIMD" : "in JavaScript alone"}`;
});
addEventListener("resize", () => { strip.width = 0; refresh(); drawLearning(); });

const night = matchMedia("(prefers-color-scheme: dark)");
night.addEventListener("change", () => setTheme(night.matches ? "dark" : "light"));
setTheme(night.matches ? "dark" : "light");
element("prime").value = page.prime;
use(makeNetwork(), page);
document.documentElement.dataset.ready = "yes";
