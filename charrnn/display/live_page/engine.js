// The forward pass of a recurrent network, one character at a time: the equations of docs/MODEL.md.
// Columns of pre-activations are in order of units: the slots of unit u are at slots * u, slots * u + 1, ...

const sigmoid = (z) => 1 / (1 + Math.exp(-z));
const tanh = (z) => 1 - 2 / (1 + Math.exp(2 * z));

// i, f, g and o replace the pre-activations z of ``count`` units. ``held`` has NaN for a unit that is free.
function updateLSTM(z, h, c, held, count, capped, coupled) {
  for (let u = 0, at = 0; u < count; u++, at += 4) {
    const f = sigmoid(z[at + 1]), g = tanh(z[at + 2]), o = sigmoid(z[at + 3]);
    const i = coupled ? 1 - f : capped ? Math.min(sigmoid(z[at]), 1 - f) : sigmoid(z[at]);
    const value = held[u] === held[u] ? held[u] : f * c[u] + i * g;
    c[u] = value;
    h[u] = o * tanh(value);
    z[at] = i; z[at + 1] = f; z[at + 2] = g; z[at + 3] = o;
  }
}

function updateGRU(x, h, c, held, count) {
  for (let u = 0, at = 0; u < count; u++, at += 4) {
    const r = sigmoid(x[at]), z = sigmoid(x[at + 1]), n = tanh(x[at + 2] + r * x[at + 3]);
    h[u] = held[u] === held[u] ? held[u] : (1 - z) * n + z * h[u];
    x[at] = r; x[at + 1] = z; x[at + 2] = n;
  }
}

function updateRNN(z, h, c, held, count) {
  for (let u = 0; u < count; u++) h[u] = held[u] === held[u] ? held[u] : tanh(z[u]);
}

// ``gates``: the blocks of H columns of W_ih and W_hh, in the order of the file. Their slots are ``input`` and
// ``recurrent``, those of the bias' blocks are ``bias``.
const LSTM_KIND = {
  slots: 4, gates: ["i", "f", "g", "o"], input: [0, 1, 2, 3], recurrent: [0, 1, 2, 3], bias: [0, 1, 2, 3],
  signals: { i: 0, f: 1, g: 2, o: 3 }, hasC: true,
};
const KINDS = {
  lstm: { ...LSTM_KIND, update: (...all) => updateLSTM(...all, false, false) },
  "capped-lstm": { ...LSTM_KIND, update: (...all) => updateLSTM(...all, true, false) },
  "coupled-lstm": {
    ...LSTM_KIND, gates: ["f", "g", "o"], input: [1, 2, 3], recurrent: [1, 2, 3], bias: [1, 2, 3],
    update: (...all) => updateLSTM(...all, true, true),
  },
  gru: {
    slots: 4, gates: ["r", "z", "n"], input: [0, 1, 2], recurrent: [0, 1, 3], bias: [0, 1, 2, 3],
    signals: { r: 0, z: 1, n: 2 }, hasC: false, update: updateGRU,
  },
  rnn: { slots: 1, gates: ["h"], input: [0], recurrent: [0], bias: [0], signals: {}, hasC: false, update: updateRNN },
};

// What every network has: the sizes, an arena, the logits and the head.
class LanguageModel {
  // ``model``: cell, layers, hidden, vocabulary, signals, and arrays by the names of docs/MODEL.md. ``lengths``: of arrays of the arena.
  constructor(model, lengths) {
    Object.assign(this, model);
    const { hidden, vocabulary, arrays } = model;
    this.arena = new Arena({ ...lengths, logits: padded(vocabulary), head: padded(vocabulary) * hidden });
    this.logits = this.arena.arrays.logits;
    pack(arrays.w_out, hidden, this.arena.arrays.head, (k) => k);
  }

  // The logits of the next character, from what the layers give.
  predict(h) {
    const { arena, logits } = this;
    logits.set(this.arrays.b_out);
    logits.fill(0, this.vocabulary);
    arena.multiply(h, this.hidden, arena.arrays.head, logits);
    return logits;
  }

  // The value that is shown as ``shown``, from -1 to 1: an unbounded one is shown through tanh.
  valueOf(shown) {
    return this.signals[0].unbounded ? Math.atanh(Math.max(-0.9993, Math.min(0.9993, shown))) : shown;
  }
}

class Network extends LanguageModel {
  // ``model``: of the class LanguageModel, with ``embedding`` (0: none).
  constructor(model) {
    const { layers, hidden, vocabulary, arrays } = model, kind = KINDS[model.cell];
    const width = padded(kind.slots * hidden), inputs = arrays.w_ih_l0.length / (kind.gates.length * hidden);
    const lengths = { table: vocabulary * width };
    for (let l = 0; l < layers; l++) {
      Object.assign(lengths, { [`z${l}`]: width, [`h${l}`]: hidden, [`recurrent${l}`]: width * hidden });
      if (l) lengths[`input${l}`] = width * hidden;
    }
    if (model.embedding) Object.assign(lengths, { embedding: arrays.embedding.length, input0: width * inputs });
    super(model, lengths);
    Object.assign(this, { kind, inputs });
    const { arena } = this;
    this.table = Array.from({ length: vocabulary }, (_, id) => arena.arrays.table.subarray(id * width, (id + 1) * width));
    const to = (blocks) => (k) => kind.slots * (k % hidden) + blocks[Math.floor(k / hidden)];
    this.parts = Array.from({ length: layers }, (_, l) => {
      const bias = new Float32Array(width), place = to(kind.bias), { [`h${l}`]: h, [`z${l}`]: z } = arena.arrays;
      arrays[`b_l${l}`].forEach((value, k) => { bias[place(k)] += value; });
      const recurrent = arena.arrays[`recurrent${l}`], input = arena.arrays[`input${l}`] ?? null;
      pack(arrays[`w_hh_l${l}`], hidden, recurrent, to(kind.recurrent));
      if (input) pack(arrays[`w_ih_l${l}`], l ? hidden : inputs, input, to(kind.input));
      return { h, z, bias, recurrent, input, c: new Float32Array(kind.hasC ? hidden : 0), held: new Float32Array(hidden).fill(NaN) };
    });
    this._fillTable(to(kind.input));
  }

  // The first layer's pre-activations of each character: what its one-hot vector or embedding gives, with the bias.
  _fillTable(place) {
    const { arrays, inputs } = this, { bias, input } = this.parts[0];
    if (this.embedding) this.arena.arrays.embedding.set(arrays.embedding);
    this.table.forEach((row, id) => {
      row.set(bias);
      if (this.embedding) {
        this.arena.multiply(this.arena.arrays.embedding.subarray(id * inputs, (id + 1) * inputs), inputs, input, row);
      } else {
        const columns = arrays.w_ih_l0.length / inputs;
        for (let k = 0; k < columns; k++) row[place(k)] += arrays.w_ih_l0[id * columns + k];
      }
    });
  }

  // Read a character; returns the logits (at least V numbers) of the next one.
  step(id) {
    const { arena, kind, hidden, parts } = this;
    parts.forEach(({ h, z, c, bias, recurrent, input, held }, l) => {
      z.set(l ? bias : this.table[id]);
      if (l) arena.multiply(parts[l - 1].h, hidden, input, z);
      arena.multiply(h, hidden, recurrent, z);
      kind.update(z, h, c, held, hidden);
    });
    return this.predict(parts.at(-1).h);
  }

  // The state as one array, and back to it.
  state() {
    const size = this.hidden * (this.kind.hasC ? 2 : 1), all = new Float32Array(this.layers * size + this.vocabulary);
    this.parts.forEach(({ h, c }, l) => { all.set(h, l * size); all.set(c, l * size + this.hidden); });
    all.set(this.logits.subarray(0, this.vocabulary), this.layers * size);
    return all;
  }

  restore(all) {
    const size = this.hidden * (this.kind.hasC ? 2 : 1);
    this.parts.forEach(({ h, c }, l) => {
      h.set(all.subarray(l * size, l * size + this.hidden));
      c.set(all.subarray(l * size + this.hidden, l * size + this.hidden + c.length));
    });
    this.logits.set(all.subarray(this.layers * size));
  }

  // The state of a text that begins: zeros, but for the held cells.
  begin() {
    for (const { h, c, held } of this.parts) {
      h.fill(0);
      c.fill(0);
      const state = this.kind.hasC ? c : h;
      held.forEach((value, u) => { if (value === value) state[u] = value; });
    }
    this.logits.fill(0);
  }

  // Hold a cell at a value that is shown (-1 to 1), or let it go with null. c of an LSTM is shown as tanh(c).
  hold(cell, shown) {
    this.parts[Math.floor(cell / this.hidden)].held[cell % this.hidden] = shown === null ? NaN : this.valueOf(shown);
  }

  // A signal of all cells after the last character, into ``values`` (L H,).
  signal(signal, values) {
    this.parts.forEach(({ h, c, z }, l) => {
      for (let u = 0; u < this.hidden; u++) {
        const value = signal.name === "h" ? h[u] : signal.name === "c" ? c[u] : z[this.kind.slots * u + this.kind.signals[signal.name]];
        values[l * this.hidden + u] = signal.unbounded ? tanh(value) : value;
      }
    });
  }
}

Network.prototype.every = 32; // characters between two states that a text keeps
Network.prototype.shows = "equations"; // what the page has of one step

// The class of each kind of cell.
const ENGINES = Object.fromEntries(Object.keys(KINDS).map((cell) => [cell, Network]));
const networkOf = (model) => new ENGINES[model.cell](model);

// Probabilities (V,) of logits.
function softmax(logits, count) {
  const chances = new Float64Array(count);
  let most = -Infinity, sum = 0;
  for (let k = 0; k < count; k++) if (logits[k] > most) most = logits[k];
  for (let k = 0; k < count; k++) sum += chances[k] = Math.exp(logits[k] - most);
  for (let k = 0; k < count; k++) chances[k] /= sum;
  return chances;
}
