// What is keyed with a placeholder is computed on the token, all else by the original code: for Node's own `createHmac`, and for
// ccxt, whose modules are changed as they are loaded.

'use strict';

const crypto = require('node:crypto');
const Module = require('node:module');
const { Transform } = require('node:stream');
const { changed, isChanged } = require('./change.cjs');
const { labelOf } = require('./label.cjs');
const { bytes } = require('../src/line.cjs');

// As Node's Hmac, with its key on the token.
class TokenHmac extends Transform {
    #parts = [];
    #plain;
    #compute;

    // `plain` is Node's own, which is given the same: what it refuses is refused.
    constructor(algorithm, found, plain) {
        super();
        this.#plain = plain;
        this.#compute = () => require('./mac.cjs').mac(algorithm, found, Buffer.concat(this.#parts));
    }

    update(data, encoding) {
        this.#plain.update(data, encoding);
        this.#parts.push(typeof data === 'string' ? Buffer.from(data, encoding) : bytes(data));
        return this;
    }

    digest(encoding) {
        const made = this.#compute();
        this.#plain.digest();
        return encoding && encoding !== 'buffer' ? made.toString(encoding) : made;
    }

    _transform(data, encoding, done) {
        this.update(data, encoding);
        done();
    }

    _flush(done) {
        try {
            this.push(this.digest());
            done();
        } catch (error) {
            done(error);
        }
    }
}

// What a secret key object (`createSecretKey`) holds is its text or bytes.
const keyed = (secret) => labelOf(secret instanceof crypto.KeyObject && secret.type === 'secret' ? secret.export() : secret);

function install() {
    const key = Symbol.for('hsmsign.hook');
    if (globalThis[key]) return;
    globalThis[key] = Object.freeze({
        // What ccxt needs is loaded with ccxt.
        ...Object.fromEntries(['mac', 'hashed', 'privately'].map((name) => [name, (...args) => require('./ccxt.cjs').functions[name](...args)])),
        changeBase: (...args) => require('./ccxt.cjs').changeBase(...args),
    });
    const { createHmac } = crypto;
    crypto.createHmac = function (algorithm, secret, options) {
        const found = keyed(secret);
        const plain = createHmac(algorithm, found === undefined ? secret : '', options);
        return found === undefined ? plain : new TokenHmac(algorithm, found, plain);
    };
    Module.syncBuiltinESMExports();
    const compile = Module.prototype._compile;
    Module.prototype._compile = function (source, filename, ...rest) {
        return compile.call(this, isChanged(filename) ? changed(source, filename) : source, filename, ...rest);
    };
}

module.exports = { install };
