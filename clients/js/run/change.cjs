// The modules of ccxt in which secrets become signatures, and what is changed in them as they are loaded.

'use strict';

const MODULE = /[\\/]ccxt[\\/](?:js|dist[\\/]cjs)[\\/]src[\\/]base[\\/](?:functions[\\/](crypto|rsa)|(Exchange))\.js$/;
const HOOK = "globalThis[Symbol.for('hsmsign.hook')]";

// As ccxt writes its MAC and its hash, imported and required.
const MAC = /const binary = ((?:[\w$]+\.)?_?hmac)\(hash, ([\w$]+(?:\.\w+)?\(secret\)|secret), ([\w$]+(?:\.\w+)?\(request\)|request)\);/;
const HASH = /(const hash = \(request, hash, digest = 'hex'\) => \{\s*const binary = [^;]+;\s*return )(encoders\[digest\]\(binary\));/;
// Functions whose secret is a private key.
const PRIVATE = /^((?:async )?function (ecdsa|rsa|eddsa|axolotl)\s*\(request, secret\b[^{]*\{)/gm;

const partOf = (name) => name.split('?')[0].match(MODULE)?.slice(1).find(Boolean);
const isChanged = (name) => partOf(name) !== undefined;

function unknown(name) {
    return new Error(`hsmsign: ${name} is of a ccxt that the hook does not know; nothing can be signed with a placeholder`);
}

const privately = (source) => source.replace(PRIVATE, `$1 const signed = ${HOOK}.privately('$2', arguments); if (signed !== undefined) return signed;`);

const CHANGES = {
    crypto(source) {
        if (!MAC.test(source) || !HASH.test(source)) return undefined;
        const changed = source
            .replace(MAC, `const binary = ${HOOK}.mac(hash, secret, request) ?? $1(hash, $2, $3);`)
            .replace(HASH, `$1${HOOK}.hashed(request, $2);`);
        return privately(changed);
    },

    rsa(source) {
        const changed = privately(source);
        return changed === source ? undefined : changed;
    },

    // Behind its last line, where its class is whole.
    Exchange(source) {
        if (/^export default class Exchange/m.test(source)) {
            return `${source}\nimport * as hsmsignErrors from './errors.js';\n${HOOK}.changeBase(Exchange, hsmsignErrors);\n`;
        }
        return /^class Exchange\b/m.test(source) ? `${source}\n${HOOK}.changeBase(Exchange, require('./errors.js'));\n` : undefined;
    },
};

// The module as the hook wants it; throws for one that is not known.
function changed(source, name) {
    const done = CHANGES[partOf(name)](source);
    if (done === undefined) throw unknown(name);
    return done;
}

module.exports = { changed, isChanged };
