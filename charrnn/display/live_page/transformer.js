// The forward pass of a Transformer, one character at a time: the equations of docs/MODEL.md. H columns of the stream,
// N heads of d columns, F columns of the MLP, C the context. The keys and values of the last C characters lie in rings
// of R slots, C rounded up to whole blocks: those of position p are in slot p % R. A slot without a character that is
// looked at has the weight 0.

const SMALLEST = 1e-5; // of a norm
const TURN = 2 ** 23; // an angle is a whole number of this many parts of a turn
const LONGEST = 10000; // the longest wavelength of a position, times 2 pi

// out = x / sqrt(mean(x^2) + SMALLEST), times the gains (H,).
function normalise(x, gains, out) {
  let sum = 0;
  for (let k = 0; k < gains.length; k++) sum += x[k] * x[k];
  const scale = 1 / Math.sqrt(sum / gains.length + SMALLEST);
  for (let k = 0; k < gains.length; k++) out[k] = scale * x[k] * gains[k];
}

// How far the pairs of a head's columns turn from one position to the next, in parts of a turn.
const turnsOf = (size) => Array.from({ length: Math.floor(size / 2) }, (_, i) => Math.round((LONGEST ** ((-2 * i) / size) * TURN) / (2 * Math.PI)));

class Transformer extends LanguageModel {
  // ``model``: of the class LanguageModel, with ``heads`` and ``context``.
  constructor(model) {
    const { layers, hidden: H, heads: N, context, arrays } = model, size = H / N, F = arrays.w_down_l0.length / H;
    const ring = padded(context), wide = padded(H), lengths = { x: wide, norm: H, qkv: padded(3 * H), mixed: padded(size), attended: H, gates: 2 * F, gated: F };
    for (let l = 0; l < layers; l++) {
      Object.assign(lengths, { [`w_qkv_l${l}`]: padded(3 * H) * H, [`w_att_l${l}`]: wide * H, [`w_up_l${l}`]: 2 * F * H, [`w_down_l${l}`]: wide * F });
      Object.assign(lengths, { [`keys${l}`]: N * ring * size, [`values${l}`]: N * ring * padded(size), [`weights${l}`]: N * ring });
    }
    super(model, lengths);
    const own = this.arena.arrays, part = (array, count, k) => array.subarray(k * count, (k + 1) * count);
    Object.assign(this, { own, size, ring, mlp: F, turns: turnsOf(size), queries: Array.from({ length: N }, (_, h) => part(own.qkv, size, h)) });
    this.parts = Array.from({ length: layers }, (_, l) => {
      const matrices = Object.fromEntries(["w_qkv", "w_att", "w_up", "w_down"].map((name) => {
        const matrix = arrays[`${name}_l${l}`], rows = name === "w_down" ? F : H;
        pack(matrix, rows, own[`${name}_l${l}`], (k) => k);
        return [name, own[`${name}_l${l}`]];
      }));
      return {
        ...matrices, g_att: arrays[`g_att_l${l}`], g_mlp: arrays[`g_mlp_l${l}`], h: new Float32Array(H),
        heads: Array.from({ length: N }, (_, h) => ({
          keys: part(own[`keys${l}`], ring * size, h), values: part(own[`values${l}`], ring * padded(size), h), weights: part(own[`weights${l}`], ring, h),
        })),
        held: new Float32Array(H).fill(NaN), // the columns that this layer holds, and those that it or a layer above holds
        fixed: new Float32Array(H).fill(NaN),
      };
    });
    this.cosines = new Float64Array(this.turns.length);
    this.sines = new Float64Array(this.turns.length);
    this.seen = new Int32Array(context); // the slots of the characters that are looked at, the newest first
    this.scores = new Float64Array(context);
    this.begin();
  }

  // Read a character; returns the logits (at least V numbers) of the next one.
  step(id) {
    const { arena, own, parts, hidden: H, mlp: F } = this, { x, norm, qkv, attended, gates, gated } = own, position = this.last.position + 1;
    const state = { position, before: this.last, kept: new Float32Array((2 * parts.length + 1) * H) };
    this._look(position);
    x.set(this.arrays.embedding.subarray(id * H, (id + 1) * H));
    this._fix(parts[0]);
    parts.forEach((part, l) => {
      normalise(x, part.g_att, norm);
      qkv.fill(0);
      arena.multiply(norm, H, part.w_qkv, qkv);
      this._rotate(0);
      this._rotate(H);
      state.kept.set(qkv.subarray(H, 3 * H), 2 * l * H);
      this._store(state, l);
      part.heads.forEach((head, h) => this._attend(head, this.queries[h], h));
      arena.multiply(attended, H, part.w_att, x);
      this._fix(part);
      normalise(x, part.g_mlp, norm);
      gates.fill(0);
      arena.multiply(norm, H, part.w_up, gates);
      for (let k = 0; k < F; k++) gated[k] = gates[k] * sigmoid(gates[k]) * gates[F + k];
      arena.multiply(gated, F, part.w_down, x);
      this._fix(part);
      part.h.set(x.subarray(0, H));
    });
    normalise(x, this.arrays.g_out, norm);
    state.kept.set(norm, 2 * parts.length * H);
    this.slots[position % this.ring] = this.last = state;
    return this.predict(norm);
  }

  // The slots and the angles of the character at a position.
  _look(position) {
    this.count = Math.min(position + 1, this.context);
    for (let back = 0; back < this.count; back++) this.seen[back] = (position - back) % this.ring;
    this.turns.forEach((turn, i) => {
      const angle = (((position * turn) % TURN) * 2 * Math.PI) / TURN;
      this.cosines[i] = Math.cos(angle);
      this.sines[i] = Math.sin(angle);
    });
  }

  // Rotate the queries, or the keys, of all heads: they begin at column ``start`` of qkv.
  _rotate(start) {
    const { qkv } = this.own, { size, cosines, sines } = this, half = cosines.length;
    for (let at = start; at < start + this.hidden; at += size) {
      for (let i = 0; i < half; i++) {
        const first = qkv[at + i], second = qkv[at + half + i];
        qkv[at + i] = first * cosines[i] - second * sines[i];
        qkv[at + half + i] = second * cosines[i] + first * sines[i];
      }
    }
  }

  // Put the keys and values that a character left in a layer into their slot. Keys are packed for a product with a
  // query, values for a product with weights.
  _store({ position, kept }, l) {
    const { size, ring, hidden: H } = this, slot = position % ring, inside = slot % COLUMNS, block = (slot - inside) * size + inside;
    this.parts[l].heads.forEach(({ keys, values }, h) => {
      for (let k = 0, from = 2 * l * H + h * size; k < size; k++, from++) {
        keys[block + k * COLUMNS] = kept[from];
        values[(k - (k % COLUMNS)) * ring + slot * COLUMNS + (k % COLUMNS)] = kept[from + H];
      }
    });
  }

  // The weights of a head, softmax(q k / sqrt(d)), and the sum of the values with these weights.
  _attend({ keys, values, weights }, query, h) {
    const { arena, own, size, ring, seen, count, scores } = this, scale = 1 / Math.sqrt(size);
    weights.fill(0);
    arena.multiply(query, size, keys, weights);
    let most = -Infinity, sum = 0;
    for (let k = 0; k < count; k++) if (weights[seen[k]] > most) most = weights[seen[k]];
    for (let k = 0; k < count; k++) sum += scores[k] = Math.exp((weights[seen[k]] - most) * scale);
    weights.fill(0);
    for (let k = 0; k < count; k++) weights[seen[k]] = scores[k] / sum;
    own.mixed.fill(0);
    arena.multiply(weights, ring, values, own.mixed);
    own.attended.set(own.mixed.subarray(0, size), h * size);
  }

  // The weights of a head from the last character, by how many characters back.
  attention(layer, head) {
    const { weights } = this.parts[layer].heads[head];
    return Float32Array.from(this.seen.subarray(0, this.count), (slot) => weights[slot]);
  }

  // Columns of the stream that are held.
  _fix({ fixed }) {
    const { x } = this.own;
    if (this.isHeld) for (let u = 0; u < fixed.length; u++) if (fixed[u] === fixed[u]) x[u] = fixed[u];
  }

  // Hold a column of the stream behind a layer at a value that is shown, or let it go with null. It has the value from
  // the embedding on: no layer up to this one adds to it. If layers hold the same column, each does behind the one below.
  hold(cell, shown) {
    const unit = cell % this.hidden;
    this.parts[Math.floor(cell / this.hidden)].held[unit] = shown === null ? NaN : this.valueOf(shown);
    let value = NaN;
    for (const { held, fixed } of [...this.parts].reverse()) {
      if (held[unit] === held[unit]) value = held[unit];
      fixed[unit] = value;
    }
    this.isHeld = this.parts.some(({ fixed }) => fixed.some((each) => each === each));
  }

  // The state is what the last character left, (2 L + 1) H numbers: its keys and values, and what the head read of it;
  // with the states before it, of which it shares the memory. Position -1 is before the text.
  state() { return this.last; }

  // Back to a state: the characters that can be looked at come back into their slots, unless they are there.
  restore(state) {
    const there = this.slots, { layers, hidden: H, own } = this;
    this.last = state;
    this.slots = new Array(this.ring).fill(null);
    for (let each = state, back = 1; each.before && back < this.context; each = each.before, back++) {
      const slot = each.position % this.ring;
      if (there[slot] !== each) for (let l = 0; l < layers; l++) this._store(each, l);
      this.slots[slot] = each;
    }
    if (state.before) {
      own.norm.set(state.kept.subarray(2 * layers * H));
      this.predict(own.norm);
    } else this.logits.fill(0);
  }

  // The state of a text that begins: nothing to look at.
  begin() {
    this.last = { position: -1, before: null, kept: null };
    this.slots = new Array(this.ring).fill(null);
    this.logits.fill(0);
  }

  // A signal of all cells after the last character, into ``values`` (L H,): h, the stream behind each layer.
  signal(signal, values) {
    this.parts.forEach(({ h }, l) => h.forEach((value, u) => { values[l * this.hidden + u] = signal.unbounded ? tanh(value) : value; }));
  }
}

Transformer.prototype.every = 1; // a state costs no more than the character
Transformer.prototype.shows = "heads";
ENGINES.transformer = Transformer;
