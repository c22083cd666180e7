// What is keyed with a placeholder, computed on the token.

'use strict';

const { keyOf } = require('./label.cjs');
const { ask } = require('./wire.cjs');
const { UnsupportedAlgorithm } = require('../src/errors.cjs');
const { macLine, macOf } = require('../src/line.cjs');

// While a request is composed its signatures are put off: who collects them answers what stands in their places.
const state = { collect: undefined };

function plain(algorithm) {
    const name = String(algorithm).toLowerCase().replace(/[-_]/g, '');
    if (['sha256', 'sha384', 'sha512'].includes(name)) return name;
    throw new UnsupportedAlgorithm(`a MAC by ${algorithm} was asked for, which keys on a token are not for`, {
        code: 'unsupported', fix: 'they are for sha256, sha384 and sha512',
    });
}

function mac(algorithm, { label }, message) {
    const name = plain(algorithm);
    if (state.collect) {
        keyOf(label, ask, name);
        return state.collect(label, name, message);
    }
    return macOf(ask(macLine(keyOf(label, ask, name).key, message, name)));
}

// A private key signs whole requests only.
function signature(kind, { label }, message) {
    keyOf(label, ask);
    if (state.collect) return state.collect(label, kind, message);
    throw new UnsupportedAlgorithm(`a signature by ${kind} was asked for, and private keys on a token sign whole requests only`, {
        code: 'unsupported', fix: "use the agent's request lines: docs/json.md",
    });
}

module.exports = { mac, signature, state };
