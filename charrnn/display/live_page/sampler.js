// The choice of a character. The page has random numbers of its own: its samples are not those of `charrnn sample`.

// A number from 0 to 1 for each seed and place, so that a place has the same one whenever it is written again.
// (The mixing of bits is the finalizer of MurmurHash3.)
function uniform(seed, place) {
  let x = Math.imul(seed + 0x9e3779b9, 0x85ebca6b) ^ Math.imul(place + 1, 0xc2b2ae35);
  for (let round = 0; round < 2; round++) {
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x ^= x >>> 16;
  }
  return ((x >>> 0) + 0.5) / 2 ** 32;
}

// The ids of the k largest numbers, the largest first; of equal ones the smaller id.
function largest(values, count, k) {
  return Array.from({ length: count }, (_, id) => id).sort((a, b) => values[b] - values[a] || a - b).slice(0, k);
}

// An id by the probabilities softmax(logits / temperature) among the ``topK`` largest (0: all). ``number`` is from 0 to 1.
function choose(logits, count, temperature, topK, number) {
  if (temperature < 0.01) return largest(logits, count, 1)[0];
  const kept = topK && topK < count ? largest(logits, count, topK) : null, size = kept ? kept.length : count;
  let most = -Infinity, sum = 0;
  for (let k = 0; k < size; k++) most = Math.max(most, logits[kept ? kept[k] : k]);
  const weights = new Float64Array(size);
  for (let k = 0; k < size; k++) sum += weights[k] = Math.exp((logits[kept ? kept[k] : k] - most) / temperature);
  let rest = number * sum, chosen = 0;
  for (let k = 0; k < size; k++) {
    if (weights[k] > 0) chosen = k;
    rest -= weights[k];
    if (rest < 0) break;
  }
  return kept ? kept[chosen] : chosen;
}
