// One step of the chosen cell: a diagram with its values, the equations with numbers, and what moved its gates.

const TERMS = 6; // of a sum that are named, the largest ones

// How the cell came to its value after the character at ``place``: a list of sums, and the values by name.
function stepOfCell(place, cell) {
  const { network, tape } = app, { hidden: H, kind, arrays } = network, l = Math.floor(cell / H), u = cell % H, id = tape.ids[place];
  return tape.after(place, (after, before) => {
    const size = H * (kind.hasC ? 2 : 1), columns = kind.gates.length * H, part = after.parts[l];
    const h0 = before.subarray(l * size, l * size + H), below = l ? after.parts[l - 1].h : null;
    const w_ih = arrays[`w_ih_l${l}`], w_hh = arrays[`w_hh_l${l}`], bias = arrays[`b_l${l}`];
    const sums = kind.gates.map((gate, block) => {
      const column = block * H + u, terms = [];
      for (let k = 0; k < H; k++) terms.push({ name: `h ${l}:${k} before`, value: h0[k], weight: w_hh[k * columns + column] });
      const fromState = terms.reduce((sum, { value, weight }) => sum + value * weight, 0);
      let fromBelow = 0;
      if (l) for (let k = 0; k < H; k++) {
        terms.push({ name: `h ${l - 1}:${k}`, value: below[k], weight: w_ih[k * columns + column] });
        fromBelow += below[k] * w_ih[k * columns + column];
      } else if (network.embedding) {
        for (let k = 0; k < network.inputs; k++) fromBelow += arrays.embedding[id * network.inputs + k] * w_ih[k * columns + column];
        terms.push({ name: "the character", value: 1, weight: fromBelow });
      } else {
        fromBelow = w_ih[id * columns + column];
        terms.push({ name: "the character", value: 1, weight: fromBelow });
      }
      return { gate, terms, fromBelow, fromState, bias: bias[column], biasOfState: gate === "n" ? bias[3 * H + u] : 0 };
    });
    const { slots } = kind, state = kind.hasC ? before[l * size + H + u] : h0[u];
    const signal = Object.fromEntries(Object.entries(kind.signals).map(([name, slot]) => [name, part.z[slots * u + slot]]));
    const adds = l === network.layers - 1
      ? largest(arrays.w_out.slice(u * network.vocabulary, (u + 1) * network.vocabulary).map((w) => Math.abs(w * part.h[u])), network.vocabulary, TERMS)
        .map((to) => ({ to, weight: arrays.w_out[u * network.vocabulary + to], product: part.h[u] * arrays.w_out[u * network.vocabulary + to] })) : [];
    return { l, u, id, sums, before: state, h: part.h[u], c: kind.hasC ? part.c[u] : null, held: part.held[u], signal, adds };
  });
}

// The equations: [name, with letters, with numbers, value].
function equations(step) {
  const { network } = app, { signal: s, sums } = step, n = (value) => (value < 0 ? `(${signed(value, 3)})` : signed(value, 3));
  const below = step.l ? "W\u1d62\u2095 h of the layer below" : "W\u1d62\u2095[character]";
  const sumRows = sums.map(({ gate, fromBelow, fromState, bias, biasOfState }) => {
    const isGRU = gate === "n", letters = isGRU ? `${below} + b + r (W\u2095\u2095 h before + b\u2032)` : `${below} + W\u2095\u2095 h before + b`;
    const value = fromBelow + bias + (isGRU ? s.r * (fromState + biasOfState) : fromState);
    const numbers = isGRU ? `${n(fromBelow)} + ${n(bias)} + ${n(s.r)} \u00b7 (${n(fromState)} + ${n(biasOfState)})` : `${n(fromBelow)} + ${n(fromState)} + ${n(bias)}`;
    return [network.cell === "rnn" ? "z" : `z_${gate}`, letters, numbers, value];
  });
  const z = Object.fromEntries(sumRows.map(([name, , , value]) => [name.slice(2), value]));
  const squash = (gate) => {
    const f = gate === "g" || gate === "n" ? "tanh" : "\u03c3";
    return [gate, `${f}(z_${gate})`, `${f}(${signed(z[gate], 3)})`, s[gate]];
  };
  const held = (row) => (Number.isNaN(step.held) ? row : [row[0], "held", "", row[3]]);
  if (network.cell === "rnn") return [...sumRows, held(["h", "tanh(z)", `tanh(${signed(sumRows[0][3], 3)})`, step.h])];
  if (network.cell === "gru") {
    return [...sumRows, ...network.kind.gates.map(squash),
      held(["h", "(1 \u2212 z) n + z h before", `(1 \u2212 ${n(s.z)}) \u00b7 ${n(s.n)} + ${n(s.z)} \u00b7 ${n(step.before)}`, step.h])];
  }
  const gates = network.kind.gates.map(squash);
  if (network.cell === "coupled-lstm") gates.push(["i", "1 \u2212 f", `1 \u2212 ${n(s.f)}`, s.i]);
  if (network.cell === "capped-lstm") gates[0] = ["i", "min(\u03c3(z_i), 1 \u2212 f)", `min(\u03c3(${signed(z.i, 3)}), 1 \u2212 ${n(s.f)})`, s.i];
  return [...sumRows, ...gates, held(["c", "f c before + i g", `${n(s.f)} \u00b7 ${n(step.before)} + ${n(s.i)} \u00b7 ${n(s.g)}`, step.c]),
    ["h", "o tanh(c)", `${n(s.o)} \u00b7 tanh(${signed(step.c, 3)})`, step.h]];
}

// ---- the diagram -------------------------------------------------------------------------------------------------------

function svg(tag, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

// Boxes [x, y, name, value, unit], signs [x, y, sign] and arrows [x, y, x, y].
function layoutOf(step) {
  const { signal: s } = step, { cell } = app.network;
  if (cell === "rnn") {
    return { boxes: [[60, 90, "z", step.sums[0].fromBelow + step.sums[0].fromState + step.sums[0].bias, null], [480, 90, "h", step.h, false]],
      signs: [[290, 90, "tanh"]], arrows: [[110, 90, 262, 90], [318, 90, 430, 90]] };
  }
  if (cell === "gru") {
    return {
      boxes: [[60, 60, "h before", step.before, false], [560, 60, "h", step.h, false], [200, 170, "z", s.z, true], [470, 170, "n", s.n, false], [60, 170, "r", s.r, true]],
      signs: [[200, 60, "\u00d7"], [380, 60, "+"], [380, 115, "\u00d7(1 \u2212 z)"]],
      arrows: [[110, 60, 182, 60], [218, 60, 362, 60], [398, 60, 510, 60], [200, 147, 200, 79], [470, 147, 425, 126], [380, 100, 380, 79]],
    };
  }
  return {
    boxes: [[60, 60, "c before", Math.tanh(step.before), false, step.before], [420, 60, "c", Math.tanh(step.c), false, step.c], [630, 60, "h", step.h, false],
      [160, 180, "f", s.f, true], [270, 180, "i", s.i, true], [380, 180, "g", s.g, false], [525, 180, "o", s.o, true]],
    signs: [[160, 60, "\u00d7"], [290, 60, "+"], [290, 118, "\u00d7"], [525, 60, "tanh \u00d7"]],
    arrows: [[110, 60, 142, 60], [178, 60, 272, 60], [308, 60, 370, 60], [470, 60, 490, 60], [560, 60, 580, 60], [160, 157, 160, 79], [275, 157, 284, 135],
      [365, 157, 304, 128], [290, 101, 290, 79], [525, 157, 525, 79]],
  };
}

function drawDiagram(step) {
  const { boxes, signs, arrows } = layoutOf(step), diagram = element("diagram");
  const parts = [...diagram.querySelectorAll("defs")];
  for (const [x1, y1, x2, y2] of arrows) parts.push(svg("line", { x1, y1, x2, y2, class: "arrow", "marker-end": "url(#head)" }));
  for (const [x, y, sign] of signs) {
    const half = Math.max(17, 6 + 4.5 * sign.length);
    parts.push(svg("rect", { x: x - half, y: y - 15, width: 2 * half, height: 30, rx: 15, class: "sign" }), svg("text", { x, y: y + 5, class: "word" }, sign));
  }
  for (const [x, y, name, value, unit, number = value] of boxes) {
    const box = svg("rect", { x: x - 50, y: y - 23, width: 100, height: 46, rx: 8, class: "box" }), ink = unit === null ? "" : shade(value, unit);
    if (ink) box.style.fill = `var(--${ink})`;
    parts.push(box, svg("text", { x, y: y - 5, class: `word ${ink}` }, name), svg("text", { x, y: y + 14, class: `number ${ink}` }, signed(number, 3)));
  }
  diagram.replaceChildren(...parts);
  diagram.setAttribute("aria-label", boxes.map(([, , name, value, , number = value]) => `${name} ${signed(number, 3)}`).join(", "));
}

// ---- the section -------------------------------------------------------------------------------------------------------

const machine = { isSeen: false, gate: null };
// What the section has, by what a network shows.
const views = { equations: { title: "One step", link: "One step", body: "machine-body", draw: drawEquations, offer: offerGates } };

function drawMachine() {
  if (!machine.isSeen) return;
  const isThere = app.place >= 0;
  for (const [shows, { body }] of Object.entries(views)) element(body).hidden = !isThere || shows !== app.network.shows;
  if (isThere) views[app.network.shows].draw(); else element("machine-words").textContent = "Write a character first.";
}

function drawEquations() {
  const { tape, place, cell, network } = app;
  element("machine-words").textContent = `Cell ${cellName(cell)} reads \u201c${lone(symbol(tape.ids[place]))}\u201d, character ${whole(place + 1)}.`;
  const step = stepOfCell(place, cell);
  drawDiagram(step);
  element("equations").replaceChildren(...equations(step).map(([name, letters, numbers, value]) =>
    make("tr", {}, make("th", { textContent: name, scope: "row" }), make("td", { className: "letters", textContent: `= ${letters}` }),
      make("td", { className: "numbers", textContent: numbers ? `= ${numbers}` : "" }), make("td", { className: "value", textContent: `= ${signed(value, 3)}` }))));
  if (!network.kind.gates.includes(machine.gate)) machine.gate = network.kind.gates[0];
  const { terms } = step.sums.find(({ gate }) => gate === machine.gate);
  const order = largest(terms.map(({ value, weight }) => Math.abs(value * weight)), terms.length, TERMS);
  element("terms").replaceChildren(...order.map((k) => bar(terms[k].name, terms[k].name === "the character" ? "" : `${signed(terms[k].value)} \u00b7 ${signed(terms[k].weight)}`, terms[k].value * terms[k].weight)));
  element("adds-words").textContent = step.adds.length ? "h times W_out: what it adds to the logits" : "The layer above reads h; it does not move the logits itself.";
  element("adds").replaceChildren(...step.adds.map(({ to, weight, product }) => bar(lone(symbol(to)), `${signed(step.h)} \u00b7 ${signed(weight)}`, product)));
}

// A number as a bar to the left (negative) or to the right.
function bar(name, words, value) {
  const width = Math.min(50, 50 * Math.tanh(Math.abs(value) / 1.5)), fill = make("i", { className: value < 0 ? "less" : "more" });
  fill.style.width = `${width}%`;
  return make("li", {}, make("b", { textContent: name }), make("span", { className: "bar", set: { "aria-hidden": "true" } }, fill),
    make("span", { className: "words", textContent: words }), make("em", { textContent: signed(value) }));
}

function offerGates() {
  const { gates } = app.network.kind;
  machine.gate = gates[0];
  element("gate").replaceChildren(...gates.map((gate) => make("option", { value: gate, textContent: gate === "h" ? "z" : `z_${gate}` })));
  element("diagram").setAttribute("viewBox", app.network.kind.hasC ? "0 20 690 200" : "0 20 620 190");
}

app.listeners.push(() => {
  const { title, link, offer } = views[app.network.shows];
  element("machine-title").textContent = title;
  document.querySelector("nav [href='#machine']").textContent = link;
  offer();
});
element("gate").addEventListener("change", (event) => { machine.gate = event.target.value; refresh(); });
new IntersectionObserver(([entry]) => {
  machine.isSeen = entry.isIntersecting;
  if (machine.isSeen) refresh();
}, { rootMargin: "200px" }).observe(element("machine"));
