// Changes modules of ccxt as they are imported. Runs in the thread of Node's loader.

import { createRequire } from 'node:module';

const { changed, isChanged } = createRequire(import.meta.url)('./change.cjs');

export async function load(url, context, next) {
    const loaded = await next(url, context);
    if (loaded.source && isChanged(url)) {
        return { ...loaded, source: changed(Buffer.from(loaded.source).toString(), url) };
    }
    return loaded;
}
