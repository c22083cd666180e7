// The one module of ccxt in which secrets become signatures, and what is changed in it.

'use strict';

const MODULE = /[\\/]ccxt[\\/](?:js|dist[\\/]cjs)[\\/]src[\\/]base[\\/]functions[\\/]crypto\.js$/;
const HOOK = "globalThis[Symbol.for('hsmsign.hook')]";

// As ccxt writes its MAC, imported and required.
const MAC = /const binary = ((?:\w+\.)?_?hmac)\(hash, (\w+(?:\.\w+)?\(secret\)|secret), (\w+(?:\.\w+)?\(request\)|request)\);/;
// Functions whose secret is a private key.
const PRIVATE = /^((?:async )?function (ecdsa|rsa|eddsa|axolotl)\s*\(request, secret\b[^{]*\{)/gm;

const isChanged = (name) => MODULE.test(name.split('?')[0]);

function changed(source, name) {
    if (!MAC.test(source)) {
        throw new Error(`hsmsign: ${name} is of a ccxt that the hook does not know; nothing can be signed with a placeholder`);
    }
    return source
        .replace(MAC, `const binary = ${HOOK}.mac(hash, secret, request) ?? $1(hash, $2, $3);`)
        .replace(PRIVATE, `$1 ${HOOK}.refusePrivate(secret, '$2');`);
}

module.exports = { changed, isChanged };
