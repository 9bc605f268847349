// Several signals of the chosen cell: a box for each to tick, which shows its value at the chosen place.

const boxes = about.signals.map((signal, s) => {
  const label = document.createElement("label"), box = document.createElement("input");
  const name = document.createElement("b"), colour = document.createElement("i"), value = document.createElement("span");
  box.type = "checkbox";
  name.textContent = signal.name;
  label.title = signal.meaning;
  box.setAttribute("aria-label", signal.meaning);
  box.addEventListener("change", () => toggleSignal(s));
  label.append(box, colour, name, value);
  element("signals").append(label);
  return { box, colour, value };
});
element("signals").hidden = about.signals.length < 2;
for (const help of document.querySelectorAll(".signal-keys")) help.hidden = about.signals.length < 2;

// At least one signal is shown.
function toggleSignal(s) {
  const others = view.signals.filter((other) => other !== s);
  view.signals = others.length === view.signals.length ? [...others, s].sort((a, b) => a - b) : others.length ? others : [s];
  refresh();
  drawStrips();
}

function showSignals(where) {
  boxes.forEach(({ box, colour, value }, s) => {
    box.checked = view.signals.includes(s);
    colour.className = view.cell ? classesOf(s)[view.cell.signals[s]()[where] & 255] : "";
    value.textContent = valueText(where, s);
  });
}

const signalKeys = Object.fromEntries(
  about.signals.length < 2 ? [] : about.signals.map((_, s) => [`${s + 1}`, () => toggleSignal(s)]),
);
