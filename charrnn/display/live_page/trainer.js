// Training of a small LSTM with one layer: forward, back through time, Adam. docs/MODEL.md has the equations.
// A window has T steps of B batch rows; row n = t B + b of the arrays is step t of batch row b.

const RATE = 0.01, BETA1 = 0.9, BETA2 = 0.99, EPSILON = 1e-8, CLIP = 1;

class Trainer {
  // ``ids``: the text; ``vocabulary``: V; ``hidden``: H.
  constructor(ids, vocabulary, hidden, { seed = 1, steps = 32, batch = 16, rate = RATE } = {}) {
    batch = Math.max(1, Math.min(batch, Math.floor(ids.length / (2 * steps))));
    steps = Math.max(1, Math.min(steps, Math.floor((ids.length - 1) / batch)));
    Object.assign(this, { ids, vocabulary, hidden, batch, rate, T: steps, updates: 0, characters: 0, place: 0 });
    this.rowLength = Math.floor((ids.length - 1) / batch);
    this._allocate();
    this._initialise(seed);
    this.restart();
    this.packWeights();
  }

  _allocate() {
    const { hidden: H, vocabulary: V, batch, T } = this, G = 4 * H, N = T * batch;
    const [Gp, Hp, Vp] = [G, H, V].map(padded);
    const sizes = { w_ih_l0: V * G, w_hh_l0: H * G, b_l0: G, w_out: H * V, b_out: V };
    this.arrays = {};
    this.gradient = {};
    this.moments = {};
    for (const [name, size] of Object.entries(sizes)) {
      this.arrays[name] = new Float32Array(size);
      this.gradient[name] = new Float32Array(size);
      this.moments[name] = [new Float32Array(size), new Float32Array(size)];
    }
    this.arena = new Arena({
      recurrent: Gp * H, recurrentBack: Hp * G, head: Vp * H, headBack: Hp * V,
      z: N * Gp, h: (N + batch) * H, c: (N + batch) * H, logits: N * Vp, dh: N * Hp,
      dzPacked: Gp * N, dlogitsPacked: Vp * N, before: H * N, after: H * N, sumsZ: H * Gp, sumsLogits: H * Vp,
    });
    const rows = (name, width, count) => Array.from({ length: count }, (_, n) => this.arena.arrays[name].subarray(n * width, (n + 1) * width));
    this.z = rows("z", Gp, N);
    this.h = rows("h", H, N + batch);
    this.c = rows("c", H, N + batch);
    this.logits = rows("logits", Vp, N);
    this.dh = rows("dh", Hp, N);
    this.before = rows("before", N, H);
    this.after = rows("after", N, H);
    this.sumsZ = rows("sumsZ", Gp, H);
    this.sumsLogits = rows("sumsLogits", Vp, H);
    this.column = (k) => 4 * (k % H) + Math.floor(k / H); // of gate and unit in the order i, f, g, o
  }

  // The first weights of `charrnn train`: see docs/MODEL.md; the random numbers are the page's own.
  _initialise(seed) {
    const { arrays, hidden: H } = this, bounds = { w_ih_l0: Math.sqrt(3), w_hh_l0: 1 / Math.sqrt(H), w_out: 5 / Math.sqrt(H) };
    let count = 0;
    for (const [name, bound] of Object.entries(bounds)) {
      for (let k = 0; k < arrays[name].length; k++) arrays[name][k] = bound * (2 * uniform(seed, count++) - 1);
    }
    arrays.b_l0.fill(1, H, 2 * H);
  }

  // The state is zero and the text begins again.
  restart() {
    this.place = 0;
    for (let b = 0; b < this.batch; b++) { this.h[b].fill(0); this.c[b].fill(0); }
  }

  packWeights() {
    const { arrays, hidden: H, vocabulary: V, column } = this, own = this.arena.arrays, G = 4 * H;
    pack(arrays.w_hh_l0, H, own.recurrent, column);
    pack(arrays.w_out, H, own.head, (k) => k);
    for (let k = 0; k < H; k++) {
      const inside = k % COLUMNS;
      let block = (k - inside) * G + inside;
      for (let j = 0; j < G; j++) own.recurrentBack[block + COLUMNS * column(j)] = arrays.w_hh_l0[k * G + j];
      block = (k - inside) * V + inside;
      for (let v = 0; v < V; v++) own.headBack[block + COLUMNS * v] = arrays.w_out[k * V + v];
    }
  }

  // One update. Returns the mean loss in nats a character, and the norm of the gradient before it is clipped.
  update() {
    const loss = this.forward();
    this.backward();
    this.advance();
    const norm = Math.sqrt(Object.values(this.norms()).reduce((sum, each) => sum + each * each, 0));
    this._adam(Math.min(1, CLIP / norm));
    this.packWeights();
    return { loss, norm };
  }

  // The norm of each parameter's gradient.
  norms() {
    const norm = (array) => Math.sqrt(array.reduce((sum, value) => sum + value * value, 0));
    return Object.fromEntries(Object.entries(this.gradient).map(([name, array]) => [name, norm(array)]));
  }

  forward() {
    const { arena, arrays, ids, hidden: H, vocabulary: V, batch, T } = this, own = arena.arrays, G = 4 * H;
    let loss = 0;
    for (let t = 0, n = 0; t < T; t++) {
      for (let b = 0; b < batch; b++, n++) {
        const at = b * this.rowLength + this.place + t, z = this.z[n], start = ids[at] * G;
        z.fill(0);
        for (let g = 0, k = 0; g < 4; g++) for (let u = 0; u < H; u++, k++) z[4 * u + g] = arrays.w_ih_l0[start + k] + arrays.b_l0[k];
        arena.multiply(this.h[n], H, own.recurrent, z);
        const h = this.h[n + batch], c = this.c[n + batch], c0 = this.c[n];
        for (let u = 0, j = 0; u < H; u++, j += 4) {
          const i = sigmoid(z[j]), f = sigmoid(z[j + 1]), g = tanh(z[j + 2]), o = sigmoid(z[j + 3]);
          z[j] = i; z[j + 1] = f; z[j + 2] = g; z[j + 3] = o;
          c[u] = f * c0[u] + i * g;
          h[u] = o * tanh(c[u]);
        }
        const logits = this.logits[n];
        logits.fill(0);
        logits.set(arrays.b_out);
        arena.multiply(h, H, own.head, logits);
        const chances = softmax(logits, V), target = ids[at + 1];
        loss -= Math.log(chances[target]);
        for (let v = 0; v < V; v++) logits[v] = chances[v] / this.z.length;
        logits[target] -= 1 / this.z.length;
      }
    }
    return loss / this.z.length;
  }

  // The gradient of the mean loss. logits and z have become their own gradients when this ends.
  backward() {
    const { arena, gradient, ids, hidden: H, vocabulary: V, batch, T } = this, own = arena.arrays, G = 4 * H, N = this.z.length;
    const dhNext = Array.from({ length: batch }, () => null), dc = Array.from({ length: batch }, () => new Float64Array(H));
    gradient.w_ih_l0.fill(0);
    gradient.b_l0.fill(0);
    gradient.b_out.fill(0);
    for (let n = N - 1; n >= 0; n--) {
      const b = n % batch, t = (n - b) / batch, z = this.z[n], dh = this.dh[n], dlogits = this.logits[n];
      if (dhNext[b]) dh.set(dhNext[b]); else dh.fill(0);
      arena.multiply(dlogits, V, own.headBack, dh);
      const c = this.c[n + batch], c0 = this.c[n], id = ids[b * this.rowLength + this.place + t];
      for (let u = 0, j = 0; u < H; u++, j += 4) {
        const i = z[j], f = z[j + 1], g = z[j + 2], o = z[j + 3], m = tanh(c[u]), d = dc[b][u] + dh[u] * o * (1 - m * m);
        z[j] = d * g * i * (1 - i);
        z[j + 1] = d * c0[u] * f * (1 - f);
        z[j + 2] = d * i * (1 - g * g);
        z[j + 3] = dh[u] * m * o * (1 - o);
        dc[b][u] = d * f;
        for (let gate = 0; gate < 4; gate++) {
          gradient.w_ih_l0[id * G + gate * H + u] += z[j + gate];
          gradient.b_l0[gate * H + u] += z[j + gate];
        }
      }
      for (let v = 0; v < V; v++) gradient.b_out[v] += dlogits[v];
      if (t) {
        const below = (dhNext[b] = this.dh[n - batch]);
        below.fill(0);
        arena.multiply(z, G, own.recurrentBack, below);
      }
    }
    this._products();
  }

  // The gradients of W_hh and W_out: sums over all rows of what went in times the gradient of what came out.
  _products() {
    const { arena, gradient, hidden: H, vocabulary: V, batch, column } = this, own = arena.arrays, G = 4 * H, N = this.z.length;
    for (let n = 0; n < N; n++) {
      for (let u = 0; u < H; u++) { this.before[u][n] = this.h[n][u]; this.after[u][n] = this.h[n + batch][u]; }
      for (let block = 0; block * COLUMNS < this.z[n].length; block++) {
        own.dzPacked.set(this.z[n].subarray(block * COLUMNS, (block + 1) * COLUMNS), (block * N + n) * COLUMNS);
      }
      for (let block = 0; block * COLUMNS < this.logits[n].length; block++) {
        own.dlogitsPacked.set(this.logits[n].subarray(block * COLUMNS, (block + 1) * COLUMNS), (block * N + n) * COLUMNS);
      }
    }
    for (let u = 0; u < H; u++) {
      this.sumsZ[u].fill(0);
      this.sumsLogits[u].fill(0);
      arena.multiply(this.before[u], N, own.dzPacked, this.sumsZ[u]);
      arena.multiply(this.after[u], N, own.dlogitsPacked, this.sumsLogits[u]);
      for (let k = 0; k < G; k++) gradient.w_hh_l0[u * G + k] = this.sumsZ[u][column(k)];
      for (let v = 0; v < V; v++) gradient.w_out[u * V + v] = this.sumsLogits[u][v];
    }
  }

  // The next window: its state is the end of this one; at the end of the text it begins again.
  advance() {
    const { batch, T } = this, N = this.z.length;
    for (let b = 0; b < batch; b++) { this.h[b].set(this.h[N + b]); this.c[b].set(this.c[N + b]); }
    this.place += T;
    this.characters += N;
    if (this.place + T > this.rowLength) this.restart();
  }

  _adam(scale) {
    this.updates++;
    const first = 1 - BETA1 ** this.updates, second = 1 - BETA2 ** this.updates;
    for (const [name, values] of Object.entries(this.arrays)) {
      const gradient = this.gradient[name], [mean, square] = this.moments[name];
      for (let k = 0; k < values.length; k++) {
        const d = gradient[k] * scale;
        mean[k] = BETA1 * mean[k] + (1 - BETA1) * d;
        square[k] = BETA2 * square[k] + (1 - BETA2) * d * d;
        values[k] -= (this.rate * (mean[k] / first)) / (Math.sqrt(square[k] / second) + EPSILON);
      }
    }
  }

  // The network as it is now, with weights of its own.
  network(signals) {
    const arrays = Object.fromEntries(Object.entries(this.arrays).map(([name, array]) => [name, array.slice()]));
    return new Network({ cell: "lstm", layers: 1, hidden: this.hidden, vocabulary: this.vocabulary, embedding: 0, signals, arrays });
  }
}
