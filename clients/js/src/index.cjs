// Has requests signed by the hsmsign agent.

'use strict';

const { Connection } = require('./connection.cjs');
const { AgentUnavailable, BadInput, HsmsignError, KeyNotFound, PolicyDenied, SecretWouldBeSent, TokenLocked, TokenUnavailable, UnsupportedAlgorithm } = require('./errors.cjs');
const { TIMEOUT, answerOf, macLine, macOf, requestLine, signedOf, socketPath } = require('./line.cjs');
const { placeholder } = require('./placeholder.cjs');

// A key, over one connection that is kept open. Requests may be asked for before earlier ones are answered.
class Signer {
    #socket;
    #timeout;
    #connection;

    constructor(key, { socket, timeout = TIMEOUT } = {}) {
        this.key = key;
        this.#socket = socket;
        this.#timeout = timeout;
    }

    // A request's line, headers and body as they are to be sent.
    async sign(method, target, parts) {
        return signedOf(await this.#ask(requestLine(this.key, method, target, parts)));
    }

    // The login message of the exchange's WebSocket.
    async websocket(parts) {
        return signedOf(await this.#ask(requestLine(this.key, undefined, undefined, { ...parts, websocket: true })));
    }

    // The MAC of a message, where the key was allowed raw MACs.
    async hmac(message, algorithm) {
        return macOf(await this.#ask(macLine(this.key, message, algorithm)));
    }

    // Closes the connection; the next request opens another.
    close() {
        this.#connection?.close();
        this.#connection = undefined;
    }

    async #ask(request) {
        const path = this.#socket ?? socketPath();
        if (this.#connection?.path !== path) {
            this.close();
            this.#connection = new Connection(path, this.#timeout);
        }
        return answerOf(await this.#connection.exchange(`${JSON.stringify(request)}\n`));
    }
}

module.exports = {
    Signer, placeholder, socketPath, HsmsignError, AgentUnavailable, BadInput, KeyNotFound, PolicyDenied, SecretWouldBeSent, TokenLocked,
    TokenUnavailable, UnsupportedAlgorithm,
};
