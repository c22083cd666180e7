// Placeholders: what stands for a key where a library wants a secret.

'use strict';

const { createHash } = require('node:crypto');

const MARK = 'hsmsign:';

// What stands for the key of this name: 32 letters and digits.
function placeholder(name) {
    const label = name.length > 16 ? `#${createHash('sha256').update(name).digest('base64url').slice(0, 15)}` : name;
    const bytes = Buffer.alloc(24);
    bytes.write(MARK + label);
    return bytes.toString('base64');
}

module.exports = { MARK, placeholder };
