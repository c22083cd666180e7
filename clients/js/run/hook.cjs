// What is keyed with a placeholder is computed on the token, all else by the original code: for Node's own `createHmac`, and for
// ccxt, whose module is changed as it is loaded.

'use strict';

const crypto = require('node:crypto');
const Module = require('node:module');
const { Transform } = require('node:stream');
const { changed, isChanged } = require('./change.cjs');

const MARK = 'hsmsign:';
const TEXT = 'aHNtc2lnbj';
const SIZES = { sha256: 32, sha384: 48, sha512: 64 };

const bytes = (data) => {
    if (typeof data === 'string') return Buffer.from(data);
    if (Buffer.isBuffer(data)) return data;
    if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    if (data instanceof ArrayBuffer) return Buffer.from(data);
    return undefined;
};

const labelIn = (decoded) => decoded.subarray(MARK.length).toString('latin1').replace(/\0+$/, '');

// The label in a key, none for other keys; an empty one where a placeholder stands in it in a form that is not known.
function labelOf(key) {
    const data = bytes(key);
    if (!data || data.length < 8) return undefined;
    const text = data.toString('latin1');
    if (text.length === 32 && text.startsWith(TEXT)) return labelIn(Buffer.from(text, 'base64'));
    if (text.length === 24 && text.startsWith(MARK)) return labelIn(data);
    if (text.length === 44 && text.startsWith('YUhOdGMybG5i')) return labelIn(Buffer.from(Buffer.from(text, 'base64').toString(), 'base64'));
    if (text.length === 32 && text.startsWith(TEXT.toUpperCase())) return byPlaceholder((made) => made.toUpperCase() === text);
    return text.includes(TEXT) || text.includes(MARK) || text.includes(TEXT.toUpperCase()) ? '' : undefined;
}

let wire;
const ask = (request) => (wire ??= require('./wire.cjs')).ask(request);

function refused(code, message, fix) {
    const { HsmsignError } = (wire ??= require('./wire.cjs'));
    return new HsmsignError({ code, message, fix });
}

function placeholder(name) {
    const hash = () => `#${crypto.createHash('sha256').update(name).digest('base64url').slice(0, 15)}`;
    const label = Buffer.from(MARK + (name.length > 16 ? hash() : name));
    return Buffer.concat([label, Buffer.alloc(24 - label.length)]).toString('base64');
}

const byPlaceholder = (fits) => ask({ op: 'keys' }).keys.map((key) => key.key).find((name) => fits(placeholder(name))) ?? '';

const names = new Map();

function nameOf(label) {
    if (!names.has(label)) names.set(label, label.startsWith('#') ? byPlaceholder((made) => labelOf(made) === label) : label);
    const name = names.get(label);
    if (!name) {
        throw refused('bad-input', 'a library made something of a placeholder that stands for no key',
            'see that the whole placeholder stands where the secret was: `hsmsign placeholder KEY`');
    }
    return name;
}

function mac(algorithm, label, message) {
    const plain = String(algorithm).toLowerCase().replace(/[-_]/g, '');
    if (!(plain in SIZES)) {
        throw refused('unsupported', `a MAC by ${algorithm} was asked for, which keys on a token are not for`, 'they are for sha256, sha384 and sha512');
    }
    const request = { key: nameOf(label), message_base64: message.toString('base64'), algorithm: `hmac-${plain}` };
    return Buffer.from(ask({ hmac: request }).mac_base64, 'base64');
}

// As Node's Hmac, with its key on the token.
class TokenHmac extends Transform {
    constructor(algorithm, label) {
        super();
        this.parts = [];
        this.compute = () => mac(algorithm, label, Buffer.concat(this.parts));
    }

    update(data, encoding) {
        this.parts.push(typeof data === 'string' ? Buffer.from(data, encoding) : bytes(data));
        return this;
    }

    digest(encoding) {
        const made = this.compute();
        return encoding && encoding !== 'buffer' ? made.toString(encoding) : made;
    }

    _transform(data, encoding, done) {
        this.update(data, encoding);
        done();
    }

    _flush(done) {
        this.push(this.digest());
        done();
    }
}

// The name of a hash of noble's, by its sizes.
function hashName(hash) {
    const known = { '32/64': 'sha256', '48/128': 'sha384', '64/128': 'sha512' };
    return known[`${hash.outputLen}/${hash.blockLen}`] ?? `a hash of ${hash.outputLen} bytes`;
}

function install() {
    const key = Symbol.for('hsmsign.hook');
    if (globalThis[key]) return;
    globalThis[key] = Object.freeze({
        mac(hash, secret, request) {
            const label = labelOf(secret);
            return label === undefined ? undefined : new Uint8Array(mac(hashName(hash), label, bytes(request)));
        },
        refusePrivate(secret, kind) {
            if (labelOf(secret) !== undefined) {
                throw refused('unsupported', `a signature by ${kind} was asked for, and private keys on a token sign whole requests only`,
                    'use the agent\'s request lines: docs/json.md');
            }
        },
    });
    const createHmac = crypto.createHmac;
    crypto.createHmac = function (algorithm, secret, options) {
        const label = labelOf(secret);
        return label === undefined ? createHmac(algorithm, secret, options) : new TokenHmac(algorithm, label);
    };
    Module.syncBuiltinESMExports();
    const compile = Module.prototype._compile;
    Module.prototype._compile = function (source, filename, ...rest) {
        return compile.call(this, isChanged(filename) ? changed(source, filename) : source, filename, ...rest);
    };
}

module.exports = { install, placeholder };
