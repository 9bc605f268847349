// Elements of the page, and numbers and characters as people read them.

const element = (id) => document.getElementById(id);

// An element with properties, attributes (in ``set``) and children. Texts become text nodes, never markup.
function make(tag, properties = {}, ...children) {
  const { set = {}, ...rest } = properties, made = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(set)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const MINUS = "\u2212";
const signed = (value, digits = 2) => {
  const text = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(text) !== 0 ? MINUS : "") + text;
};
const percent = (chance) => (chance < 0.01 ? "<1 %" : `${Math.round(chance * 100)} %`);
const whole = (count) => Math.round(count).toLocaleString("en");

const LONE = { "\n": "\u21b5", "\t": "\u2192", " ": "\u2423" };
const lone = (symbol) => LONE[symbol] ?? symbol;

// The colours of values: d0 to d32 from -1 to 1, s0 to s32 from 0 to 1.
const SHADES = 33;
const shade = (value, unit) =>
  unit ? `s${Math.round(Math.max(0, Math.min(1, value)) * (SHADES - 1))}`
    : `d${(SHADES - 1) / 2 + Math.round(Math.max(-1, Math.min(1, value)) * ((SHADES - 1) / 2))}`;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const MOST_BITS = 8; // of surprise: this and more has the strongest colour

// Characters without those that could hide or act: as charrnn's sanitise.py, for text that a person pastes.
const HIDDEN = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]/u;
function visible(symbol) {
  const code = symbol.codePointAt(0);
  if (symbol === "\n" || symbol === "\t" || !HIDDEN.test(symbol)) return symbol;
  return code < 0x20 ? String.fromCodePoint(0x2400 + code) : code === 0x7f ? "\u2421" : "\ufffd";
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");
