"""A network as one HTML page that writes, shows its cells, and trains a small network, without a server or a network.

It imports sanitise, page (hashes, colours) and errors. Begin with page.py and weights.py; then the scripts, in the
order in which the page runs them: arena.js (a product), engine.js (the forward pass), transformer.js (that of a
Transformer, with the same methods), sampler.js, tape.js (the text and what the network did), decode.js, trainer.js; and
with the elements of the page words.js, writing.js, cells.js, machine.js, heads.js (of a Transformer), learning.js,
controls.js. wasm.py assembles the product for WebAssembly.
"""
