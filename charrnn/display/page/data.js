"use strict";
// What the page was given: typed arrays, decoded when they are first looked at.

const element = (id) => document.getElementById(id);
const about = JSON.parse(element("data-about").textContent);

function bytes(id) {
  const block = element(`data-${id}`);
  const text = block.textContent;
  block.remove();
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text);
  const array = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) array[k] = raw.charCodeAt(k);
  return array;
}

const numbers = (id) => (about.wide ? new Uint16Array(bytes(id).buffer) : bytes(id));
const liveKeys = {}; // what live.js adds, if the page has a model that writes
const lazily = (make) => { let made; return () => (made ??= make()); };

const ids = numbers("ids");
const surprise = bytes("surprise");
const guesses = lazily(() => numbers("guesses"));
const chances = lazily(() => bytes("chances"));
const cells = about.cells.map((cell, k) => ({
  ...cell,
  // What the cell did, an array for each signal.
  signals: about.signals.map((signal, s) => lazily(() => {
    const raw = bytes(s ? `cell-${k}-${s}` : `cell-${k}`);
    return signal.unit ? raw : new Int8Array(raw.buffer);
  })),
}));

const STEPS = 33, BITS = 16, MOST = 8, UNKNOWN = 255;
const bitsAt = (place) => (surprise[place] === UNKNOWN ? null : surprise[place] / BITS);
const valueAt = (cell, place, s) => cell.signals[s]()[place] / (about.signals[s].unit ? 255 : 127);

// The classes of all 256 values, so that painting a character is looking one up.
const surpriseClasses = Array.from({ length: 256 }, (_, value) => {
  const level = value === UNKNOWN ? 0 : Math.min(1, value / (BITS * MOST));
  return `s${Math.round(level * (STEPS - 1))}`;
});
const unitClasses = Array.from({ length: 256 }, (_, byte) => `s${Math.round((byte / 255) * (STEPS - 1))}`);
const signedClasses = Array.from({ length: 256 }, (_, byte) => {
  const value = Math.max(-127, byte << 24 >> 24) / 127;
  const half = (STEPS - 1) / 2;
  return `d${half + Math.sign(value) * Math.round(Math.abs(value) * half)}`;
});
const classesOf = (s) => (about.signals[s].unit ? unitClasses : signedClasses);

const LONE = { "\n": "\u21b5", "\t": "\u2192", " ": "\u2423" };
const shown = (id) => LONE[about.symbols[id]] ?? about.symbols[id];
