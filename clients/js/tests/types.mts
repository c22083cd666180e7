// That the types say what the package does, imported; types.cts requires it.

import { BadInput, HsmsignError, placeholder, Signer, TokenLocked, TokenUnavailable, type Signed } from 'hsmsign';

const signer = new Signer('kraken', { timeout: 1000 });
const signed: Signed = await signer.sign('POST', '/0/private/AddOrder', { form: [['pair', 'XBTUSD']], nonce: null });
const told: string | Buffer | undefined = signed.body;
const mac: string = (await signer.hmac(new Uint8Array(3), 'sha384')).toString('hex');
await signer.sign('GET', '/', { query: new URLSearchParams({ a: '1' }), testnet: true, offset_ms: -120 });
await signer.websocket({ challenge: 'x' });
// @ts-expect-error there are no keys for MD5
await signer.hmac('a', 'md5');
// @ts-expect-error a part that requests do not have
await signer.sign('GET', '/', { bodies: '' });
// @ts-expect-error a signed request may have no address, as a login
const url: string = signed.url;

export function kindOf(error: unknown): string {
    if (error instanceof TokenLocked) return error.fix;
    return error instanceof BadInput ? error.code : error instanceof HsmsignError ? error.reason : String(error);
}

const kind: typeof TokenUnavailable = TokenLocked;
console.log(told, mac, url, kind, placeholder('kraken').length, signer.key.toUpperCase());
signer.close();
