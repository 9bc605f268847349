// The text that is written, with all that the network did: its characters, a signal of every cell, and states to go back to.

const MOST = 10000; // characters of a text

class Tape {
  constructor(network, signal) {
    this.network = network;
    this.signal = signal;
    this.cells = network.layers * network.hidden;
    this.values = new Float32Array(256 * this.cells);
    this.begin(null);
  }

  get length() { return this.ids.length; }

  // A text begins. ``first`` is read before it, or null; without it there is no guess before the first character.
  begin(first) {
    this.ids = [];
    this.given = []; // characters of the prime, and those that a person chose
    this.bits = []; // -log2 of the probability that each character had, or null
    this.first = first;
    this.network.begin();
    if (first !== null) this.network.step(first);
    this.states = [this.network.state()];
  }

  push(id, given) {
    const { network } = this, knows = this.length > 0 || this.first !== null;
    this.bits.push(knows ? -Math.log2(softmax(network.logits, network.vocabulary)[id]) : null);
    network.step(id);
    this.ids.push(id);
    this.given.push(given);
    this._record(this.length - 1);
    if (this.length % network.every === 0) this.states.push(network.state());
  }

  _record(place) {
    const start = place * this.cells;
    if (start + this.cells > this.values.length) {
      const more = new Float32Array(2 * this.values.length);
      more.set(this.values);
      this.values = more;
    }
    this.network.signal(this.signal, this.values.subarray(start, start + this.cells));
  }

  value(place, cell) { return this.values[place * this.cells + cell]; }

  // Keep the first ``length`` characters.
  cut(length) {
    if (length >= this.length) return;
    this._go(length);
    for (const list of [this.ids, this.given, this.bits]) list.length = length;
    this.states.length = Math.floor(length / this.network.every) + 1;
  }

  // Take the network to its state after ``length`` characters.
  _go(length) {
    const { every } = this.network, kept = Math.floor(length / every);
    this.network.restore(this.states[kept]);
    for (let place = kept * every; place < length; place++) this.network.step(this.ids[place]);
  }

  // What ``look`` makes of the network after character ``place`` (-1: before the first). The state before it comes along.
  after(place, look) {
    const end = this.network.state();
    this._go(Math.max(place, 0));
    const before = this.network.state();
    if (place >= 0) this.network.step(this.ids[place]);
    const made = look(this.network, before);
    this.network.restore(end);
    return made;
  }

  // Show another signal: the text is read again.
  show(signal) {
    if (signal === this.signal) return;
    this.signal = signal;
    this.network.restore(this.states[0]);
    this.ids.forEach((id, place) => { this.network.step(id); this._record(place); });
  }

  // Write all again, with the characters that were given in their places; ``write(place)`` says the others.
  again(write) {
    const { ids, given } = this;
    this.begin(this.first);
    ids.forEach((id, place) => this.push(given[place] ? id : write(place), given[place]));
  }
}
