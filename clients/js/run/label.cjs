// Which key a placeholder stands for, in the forms that libraries make of a secret.

'use strict';

const { BadInput, KeyNotFound } = require('../src/errors.cjs');
const { bytes } = require('../src/line.cjs');
const { MARK, placeholder } = require('../src/placeholder.cjs');

// How the text of every placeholder begins: itself, in capitals, and encoded once more.
const TEXT = 'aHNtc2lnbj';
const UPPER = TEXT.toUpperCase();
const TWICE = 'YUhOdGMybG5i';
// What a library made of placeholders where that cannot be seen, as MD5.
const derived = new Map();

function labelIn(decoded) {
    const fits = decoded.length === 24 && decoded.subarray(0, MARK.length).toString('latin1') === MARK;
    return fits ? decoded.subarray(MARK.length).toString('latin1').replace(/\0+$/, '') : '';
}

// The label in a key and the form that a library made of it, none for other keys; an empty label where a placeholder stands in
// the key in a form that is not known.
function labelOf(key) {
    const data = bytes(key);
    if (!data || data.length < 8) return undefined;
    const text = data.toString('latin1');
    if (text.length === 32 && text.startsWith(TEXT)) return { label: labelIn(Buffer.from(text, 'base64')), form: 'text' };
    if (text.length === 24 && text.startsWith(MARK)) return { label: labelIn(data), form: 'base64' };
    if (text.length === 32 && text.startsWith(UPPER)) return { label: `^${text}`, form: 'upper' };
    if (text.length === 44 && text.startsWith(TWICE)) {
        return { label: labelIn(Buffer.from(Buffer.from(text, 'base64').toString('latin1'), 'base64')), form: 'base64-of-text' };
    }
    if (derived.has(text)) return derived.get(text);
    return [TEXT, MARK, UPPER, TWICE].some((mark) => text.includes(mark)) ? { label: '', form: 'unknown' } : undefined;
}

// Remembers what a library made of a placeholder.
const derive = (made, found, form) => derived.set(made, { label: found.label, form });

// Whether a placeholder stands in a text.
const within = (text) => typeof text === 'string' && [TEXT, UPPER, TWICE].some((mark) => text.includes(mark));

let known = new Map();

// The keys that the agent has, by what may stand for them in a label.
function refreshed(ask) {
    known = new Map();
    for (const info of ask({ op: 'keys' }).keys) {
        const text = placeholder(info.key);
        known.set(labelIn(Buffer.from(text, 'base64')), info);
        known.set(`^${text.toUpperCase()}`, info);
    }
}

// What the agent says of the key that a label stands for. Where a MAC by another algorithm is wanted than that key computes, it is
// the key of that algorithm with the same API key: an exchange's older interface may sign with the same secret in another way.
function keyOf(label, ask, algorithm) {
    if (!label) {
        throw new BadInput('a library made something of a placeholder that stands for no key', {
            code: 'bad-input', fix: 'see that the whole placeholder stands where the secret was: `hsmsign placeholder KEY`',
        });
    }
    if (!known.has(label)) refreshed(ask);
    const info = known.get(label);
    if (info) return twin(info, `hmac-${algorithm}`) ?? info;
    throw new KeyNotFound(`there is no key for the placeholder of '${label.replace(/^\^/, '')}'`, {
        code: 'unknown-key', fix: '`hsmsign list` shows the keys there are; `hsmsign placeholder KEY` prints what stands for one',
    });
}

// The exchange without what tells its interfaces apart, as in `bithumb-legacy`.
const family = (info) => String(info.exchange).split('-')[0];

function twin(info, wanted) {
    if (info.algorithm === wanted || !info.algorithm?.startsWith('hmac-') || !info.api_key) return undefined;
    const fits = (other) => other.algorithm === wanted && other.api_key === info.api_key && family(other) === family(info);
    const twins = new Set([...known.values()].filter(fits));
    return twins.size === 1 ? [...twins][0] : undefined;
}

module.exports = { derive, keyOf, labelOf, within };
