// The weights of the page: scales and whole numbers become float32.

const TYPES = { i1: Int8Array, i2: Int16Array, f4: Float32Array };

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const raw = atob(base64), array = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) array[k] = raw.charCodeAt(k);
  return array;
}

// ``bytes``: for each parameter its scales and its numbers, each parameter at a multiple of 4 bytes.
function decodeArrays(parameters, bytes) {
  const arrays = {};
  let at = 0;
  for (const { name, shape, axis, type } of parameters) {
    const count = shape.reduce((product, size) => product * size, 1), columns = shape.at(-1);
    const scales = new Float32Array(bytes.buffer, at, axis < 0 ? 0 : shape[axis]);
    const numbers = new TYPES[type](bytes.buffer, at + scales.byteLength, count);
    at += Math.ceil((scales.byteLength + numbers.byteLength) / 4) * 4;
    arrays[name] = axis < 0 ? numbers : Float32Array.from(numbers, (value, k) => value * scales[axis ? k % columns : Math.floor(k / columns)]);
  }
  return arrays;
}
