// How signatures are written in requests. A composed request has a stand-in in each signature's place; here it is found in
// whatever form it took, and the signature is put there in the same form.

'use strict';

const base64 = (data) => data.toString('base64');
const from64 = (text) => Buffer.from(text, 'base64');
const hex = (data) => data.toString('hex');
const unhex = (text) => Buffer.from(text, 'hex');
const slashed = (text) => encodeURIComponent(text).replaceAll('%2F', '/');

// A form is what writes it and what reads it; what is read is written again and compared, so that reading may be lax.
const FORMS = [
    [hex, unhex],
    [(data) => hex(data).toUpperCase(), unhex],
    [base64, from64],
    [(data) => encodeURIComponent(base64(data)), (text) => from64(decodeURIComponent(text))],
    [(data) => slashed(base64(data)), (text) => from64(decodeURIComponent(text))],
    [(data) => data.toString('base64url'), (text) => Buffer.from(text, 'base64url')],
    [(data) => base64(Buffer.from(hex(data))), (text) => unhex(from64(text).toString('latin1'))],
    [(data) => encodeURIComponent(base64(Buffer.from(hex(data)))), (text) => unhex(from64(decodeURIComponent(text)).toString('latin1'))],
];

// A stand-in in each form.
const writings = (standIn) => FORMS.map(([write]) => write(standIn));

// A stand-in and what takes its place, in each form.
const pairs = (standIn, value) => FORMS.map(([write]) => [write(standIn), write(value)]);

const put = (text, values) => values.reduce((done, [written, value]) => done.replaceAll(written, () => value), text);

// What takes the places of a stand-in: the signature that stands in the signed text where the stand-in stands in the composed
// one, in each form; the rest is the same. `asWritten`: only as it stands there, of whatever form it is.
function take(composed, signed, standIn, asWritten) {
    for (const [write, read] of FORMS) {
        const written = write(standIn);
        const at = composed.indexOf(written);
        if (at < 0) continue;
        const behind = composed.slice(at + written.length);
        if (!signed.startsWith(composed.slice(0, at)) || signed.length < at + behind.length) continue;
        // Behind it may stand another stand-in: only what is up to the next separator is compared here.
        const end = behind ? signed.indexOf(behind[0], at) : signed.length;
        if (end < 0) continue;
        const found = signed.slice(at, end);
        if (asWritten) return [[written, found]];
        const value = readBy(read, found);
        if (value && write(value) === found) return pairs(standIn, value);
    }
    return undefined;
}

function readBy(read, text) {
    try {
        return read(text);
    } catch {
        // A per cent sign that encodes nothing.
        return undefined;
    }
}

module.exports = { pairs, put, take, writings };
