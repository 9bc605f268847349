"use strict";
// The float32 arrays of one network in one block of memory, and the product of a vector and a packed matrix.

const COLUMNS = 32; // of a block of a packed matrix
const padded = (count) => Math.ceil(count / COLUMNS) * COLUMNS;

// The module of WebAssembly, if this browser has SIMD and allows it; else null.
const compiled = { module: null };
function compile(code) {
  try { compiled.module = new WebAssembly.Module(code); } catch { compiled.module = null; }
  return compiled.module !== null;
}

class Arena {
  // ``lengths``: how many floats each array has, by name. Arrays begin at multiples of 64 bytes and with zeros.
  constructor(lengths) {
    const starts = {};
    let size = 0;
    for (const [name, length] of Object.entries(lengths)) {
      starts[name] = size;
      size += Math.ceil((4 * length) / 64) * 64;
    }
    this.call = null;
    let buffer;
    if (compiled.module) {
      const memory = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil(size / 65536)) });
      this.call = new WebAssembly.Instance(compiled.module, { page: { memory } }).exports.multiply;
      buffer = memory.buffer;
    } else buffer = new ArrayBuffer(Math.max(size, 64));
    this.arrays = {};
    for (const [name, length] of Object.entries(lengths)) this.arrays[name] = new Float32Array(buffer, starts[name], length);
  }

  // out += x packed: ``count`` numbers of x, packed (blocks, count, 32), out (blocks, 32). All are arrays of this arena.
  multiply(x, count, packed, out) {
    if (this.call) this.call(x.byteOffset, count, packed.byteOffset, out.length / COLUMNS, out.byteOffset);
    else multiply(x, count, packed, out);
  }
}

function multiply(x, count, packed, out) {
  for (let column = 0; column < out.length; column += 8) {
    let at = (column - (column % COLUMNS)) * count + (column % COLUMNS);
    let a = out[column], b = out[column + 1], c = out[column + 2], d = out[column + 3];
    let e = out[column + 4], f = out[column + 5], g = out[column + 6], h = out[column + 7];
    for (let k = 0; k < count; k++, at += COLUMNS) {
      const value = x[k];
      a += value * packed[at]; b += value * packed[at + 1]; c += value * packed[at + 2]; d += value * packed[at + 3];
      e += value * packed[at + 4]; f += value * packed[at + 5]; g += value * packed[at + 6]; h += value * packed[at + 7];
    }
    out[column] = a; out[column + 1] = b; out[column + 2] = c; out[column + 3] = d;
    out[column + 4] = e; out[column + 5] = f; out[column + 6] = g; out[column + 7] = h;
  }
}

// Pack a matrix of ``rows`` rows: its column number k goes to column columnOf(k) of blocks of 32.
function pack(matrix, rows, packed, columnOf) {
  const columns = matrix.length / rows;
  for (let k = 0; k < columns; k++) {
    const to = columnOf(k), inside = to % COLUMNS, block = (to - inside) * rows;
    for (let row = 0; row < rows; row++) packed[block + row * COLUMNS + inside] = matrix[row * columns + k];
  }
}
