/** Names and values, in their order. An array as a value repeats its name. */
export type Pairs = Record<string, unknown> | ReadonlyArray<readonly [string, unknown]> | URLSearchParams;

/** What a request has beside its method and path. */
export interface Parts {
    /** As a text it is taken as it stands. */
    query?: string | Pairs;
    /** As a text or bytes it is taken as it stands. */
    body?: string | ArrayBuffer | ArrayBufferView;
    form?: Pairs;
    json?: unknown;
    /** The exchange's parameters: its scheme knows where they go. */
    params?: Pairs;
    host?: string;
    testnet?: boolean;
    /** As on the wire; without it the agent takes its clock's. */
    timestamp?: string;
    /** As on the wire; without it the agent takes the key's next. `null` for none, where it is optional. */
    nonce?: string | null;
    window?: string;
    /** By how many milliseconds the exchange's clock is ahead, in place of what the key has. */
    offset_ms?: number;
    challenge?: string;
    content_type?: string;
    id?: unknown;
}

/** A signed request: what was signed are these bytes. Send all of it as it stands. */
export interface Signed {
    method: string;
    url: string | undefined;
    headers: Record<string, string>;
    /** A text; bytes where it is none in UTF-8. */
    body: string | Buffer | undefined;
}

export interface Options {
    /** The agent's socket; without it HSMSIGN_SOCKET and the usual places. */
    socket?: string;
    /** Milliseconds until an answer that does not come is given up; 30000 if not given. */
    timeout?: number;
}

/** A key, over one connection that is kept open. Requests may be asked for before earlier ones are answered. */
export class Signer {
    constructor(key: string, options?: Options);
    readonly key: string;
    /** Has a request signed; `target` is a path, or a whole URL. */
    sign(method: string, target: string, parts?: Parts): Promise<Signed>;
    /** The login message of the exchange's WebSocket. */
    websocket(parts?: Parts): Promise<Signed>;
    /** The MAC of a message, where the key was allowed raw MACs. A key of another algorithm than the named one is refused. */
    hmac(message: string | ArrayBuffer | ArrayBufferView, algorithm?: 'sha256' | 'sha384' | 'sha512'): Promise<Buffer>;
    /** Closes the connection; the next request opens another. */
    close(): void;
}

/** What stands for a key where a library wants a secret. */
export function placeholder(key: string): string;
/** Where the agent listens. */
export function socketPath(env?: Record<string, string | undefined>): string;

/** A request was not signed. Nothing is ever signed without the token instead. */
export class HsmsignError extends Error {
    /** The agent's code, as `denied`. */
    readonly code: string;
    /** What happened. */
    readonly reason: string;
    /** What to do. */
    readonly fix: string;
}
/** No agent answers at the socket, or it went away. */
export class AgentUnavailable extends HsmsignError {}
/** There is no key of that name. */
export class KeyNotFound extends HsmsignError {}
/** The key's owner did not allow it. */
export class PolicyDenied extends HsmsignError {}
/** The token is not there, busy, or refused its PIN. */
export class TokenUnavailable extends HsmsignError {}
/** The token wants a PIN. */
export class TokenLocked extends TokenUnavailable {}
/** The key does not compute what was asked for, or the token cannot take the message. */
export class UnsupportedAlgorithm extends HsmsignError {}
/** The exchange wants the secret itself in the request, which no token can give. */
export class SecretWouldBeSent extends HsmsignError {}
/** The request cannot be understood. */
export class BadInput extends HsmsignError {}
