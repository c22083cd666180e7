// Loaded before a program's own modules by `hsmsign run`: the hooks for what is required, and for what is imported.

import { createRequire, register } from 'node:module';
import { isMainThread, workerData } from 'node:worker_threads';

// The thread that speaks to the agent is hsmsign's own.
if (isMainThread || workerData?.hsmsign !== true) {
    createRequire(import.meta.url)('./hook.cjs').install();
    register('./loader.mjs', import.meta.url);
}
