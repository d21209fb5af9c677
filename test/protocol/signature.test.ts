import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { formatPublicKey, keyThumbprint, type SigningAlgorithm } from '../../src/protocol/keys.ts';
import {
  contentDigest,
  type HeaderFields,
  parseSignature,
  SignatureError,
  type SignRequestOptions,
  signRequest,
  verifySignature,
} from '../../src/protocol/signature.ts';

const NOW = 1_790_000_000;
const TAG = 'oncall/v1';
const keys = {
  ed25519: generateKeyPairSync('ed25519'),
  'ecdsa-p256-sha256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
};
const signWith = (key: KeyObject) => (base: Uint8Array) =>
  key.asymmetricKeyType === 'ed25519'
    ? sign(null, base, key)
    : sign('sha256', base, { key, dsaEncoding: 'ieee-p1363' });

interface Sent {
  method: string;
  authority: string;
  path: string;
  query: string;
  headers: Record<string, string | string[] | undefined>;
  body: Uint8Array | undefined;
}

async function send(alg: SigningAlgorithm, changes: Partial<SignRequestOptions> = {}): Promise<Sent> {
  const pair = keys[alg];
  const request: SignRequestOptions = {
    method: 'POST',
    url: new URL('https://Broker.Example:443/v1/requests?dry-run=1'),
    headers: { 'content-type': 'application/json', 'idempotency-key': 'abc' },
    body: Buffer.from('{"targets":["db"]}'),
    keyId: keyThumbprint(formatPublicKey(pair.publicKey)),
    alg,
    createdSeconds: NOW,
    nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
    tag: TAG,
    sign: signWith(pair.privateKey),
    ...changes,
  };
  const { method, url, headers, body } = request;
  return {
    method,
    authority: 'broker.example',
    path: url.pathname,
    query: url.search.slice(1),
    headers: { ...headers, ...(await signRequest(request)) } as Sent['headers'],
    body,
  };
}

/** What the broker does: 'accepted', or the reason that it logs. */
function judge(sent: Sent, alg: SigningAlgorithm, nowMs = NOW * 1000, tag = TAG): string {
  try {
    const parsed = parseSignature(sent.headers);
    verifySignature({ ...sent, parsed, publicKey: keys[alg].publicKey, tag, nowMs });
    return 'accepted';
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    return error.reason;
  }
}

/** The same request with one header replaced, or dropped. */
function withHeader(
  sent: Sent,
  name: string,
  change: (value: string) => string | string[] | undefined,
): Sent {
  return { ...sent, headers: { ...sent.headers, [name]: change(String(sent.headers[name])) } };
}

const edit = (from: string | RegExp, to: string) => (value: string) => {
  expect(value).toMatch(from);
  return value.replace(from, to);
};

describe.each(['ed25519', 'ecdsa-p256-sha256'] as const)('a request signed with %s', (alg) => {
  let sent: Sent;
  beforeAll(async () => {
    sent = await send(alg);
  });

  it('is accepted, and reads back', () => {
    expect(judge(sent, alg)).toBe('accepted');
    expect(parseSignature(sent.headers)).toMatchObject({
      alg,
      keyId: keyThumbprint(formatPublicKey(keys[alg].publicKey)),
      createdSeconds: NOW,
      expiresSeconds: NOW + 30,
      nonce: 'AAAAAAAAAAAAAAAAAAAAAA',
      tag: TAG,
      params: String(sent.headers['signature-input']).slice('sig1='.length),
    });
  });

  it('is accepted without a body, without a query and with a port', async () => {
    const url = new URL('https://broker.example:7443/v1/me');
    const bare = await send(alg, { method: 'GET', url, headers: {}, body: undefined });
    expect(judge({ ...bare, authority: 'broker.example:7443' }, alg)).toBe('accepted');
    expect(judge(bare, alg)).toBe('signature');
    expect(parseSignature(bare.headers).components).toEqual(['@method', '@authority', '@path', '@query']);
  });

  const input = 'signature-input';
  const cases: [what: string, change: (sent: Sent) => Sent, reason: string][] = [
    ['another method', (s) => ({ ...s, method: 'PUT' }), 'signature'],
    ['the method in lower case', (s) => ({ ...s, method: 'post' }), 'signature'],
    ['another path', (s) => ({ ...s, path: '/v1/grants' }), 'signature'],
    ['a path encoded differently', (s) => ({ ...s, path: '/v1/%72equests' }), 'signature'],
    ['another query', (s) => ({ ...s, query: 'dry-run=0' }), 'signature'],
    ['a query more', (s) => ({ ...s, query: `${s.query}&x` }), 'signature'],
    ['no query', (s) => ({ ...s, query: '' }), 'signature'],
    ['another authority', (s) => ({ ...s, authority: 'evil.example' }), 'signature'],
    ['another port', (s) => ({ ...s, authority: 'broker.example:444' }), 'signature'],
    ['a line end in the path', (s) => ({ ...s, path: '/v1\n"@query": ?' }), 'components'],
    ['another body', (s) => ({ ...s, body: Buffer.from('{"targets":["dc"]}') }), 'digest'],
    ['a longer body', (s) => ({ ...s, body: Buffer.concat([s.body!, Buffer.from(' ')]) }), 'digest'],
    ['no body', (s) => ({ ...s, body: undefined }), 'components'],
    ['an empty body', (s) => ({ ...s, body: new Uint8Array() }), 'components'],
    [
      'another body and its digest',
      (s) => {
        const body = Buffer.from('[]');
        return { ...s, body, headers: { ...s.headers, 'content-digest': contentDigest(body) } };
      },
      'signature',
    ],
    ['no digest', (s) => withHeader(s, 'content-digest', () => undefined), 'components'],
    ['the digest twice', (s) => withHeader(s, 'content-digest', (v) => [v, v]), 'signature'],
    ['another content type', (s) => withHeader(s, 'content-type', () => 'text/plain'), 'signature'],
    ['no content type', (s) => withHeader(s, 'content-type', () => undefined), 'components'],
    ['the content type twice', (s) => withHeader(s, 'content-type', (v) => [v, v]), 'signature'],
    ['another idempotency key', (s) => withHeader(s, 'idempotency-key', () => 'abd'), 'signature'],
    ['no idempotency key', (s) => withHeader(s, 'idempotency-key', () => undefined), 'components'],
    ['the idempotency key twice', (s) => withHeader(s, 'idempotency-key', (v) => `${v}, ${v}`), 'signature'],
    ['no signature-input', (s) => withHeader(s, input, () => undefined), 'missing'],
    ['no signature', (s) => withHeader(s, 'signature', () => undefined), 'missing'],
    ['signature-input on two lines', (s) => withHeader(s, input, (v) => [v, v]), 'malformed'],
    ['signature-input twice', (s) => withHeader(s, input, (v) => `${v}, ${v}`), 'malformed'],
    [
      'a second signature',
      (s) => withHeader(s, input, (v) => `${v}, ${v.replace('sig1', 'sig2')}`),
      'malformed',
    ],
    ['another label', (s) => withHeader(s, input, edit('sig1', 'sig2')), 'malformed'],
    ['another label on the signature', (s) => withHeader(s, 'signature', edit('sig1', 'sig2')), 'malformed'],
    ['an empty signature-input', (s) => withHeader(s, input, () => ''), 'malformed'],
    [
      'a signature-input of 10 MB',
      (s) => withHeader(s, input, (v) => v + ' '.repeat(10_000_000)),
      'malformed',
    ],
    ['a signature that is text', (s) => withHeader(s, 'signature', () => 'sig1="x"'), 'malformed'],
    ['a signature that is a list', (s) => withHeader(s, 'signature', () => 'sig1=()'), 'malformed'],
    ['a signature-input that is bytes', (s) => withHeader(s, input, () => 'sig1=:AAAA:'), 'malformed'],
    ['an empty signature', (s) => withHeader(s, 'signature', () => 'sig1=::'), 'signature'],
    ['a short signature', (s) => withHeader(s, 'signature', () => 'sig1=:AAAA:'), 'signature'],
    [
      'a signature of zeros',
      (s) => withHeader(s, 'signature', () => `sig1=:${Buffer.alloc(64).toString('base64')}:`),
      'signature',
    ],
    [
      'components in another order',
      (s) => withHeader(s, input, edit('"@method" "@authority"', '"@authority" "@method"')),
      'signature',
    ],
    ['a component fewer', (s) => withHeader(s, input, edit('"@authority" ', '')), 'components'],
    [
      'a component more',
      (s) => withHeader(s, input, edit('"@authority"', '"@authority" "host"')),
      'components',
    ],
    ['a component twice', (s) => withHeader(s, input, edit('"@authority"', '"@method"')), 'components'],
    ['a component of another name', (s) => withHeader(s, input, edit('"@path"', '"@Path"')), 'components'],
    [
      'a component with a parameter',
      (s) => withHeader(s, input, edit('"@path"', '"@path";req')),
      'malformed',
    ],
    ['created moved', (s) => withHeader(s, input, edit(`created=${NOW}`, `created=${NOW - 1}`)), 'signature'],
    [
      'expires moved',
      (s) => withHeader(s, input, edit(`expires=${NOW + 30}`, `expires=${NOW + 40}`)),
      'signature',
    ],
    [
      'expires moved far',
      (s) => withHeader(s, input, edit(`expires=${NOW + 30}`, `expires=${NOW + 61}`)),
      'window',
    ],
    [
      'expires equal to created',
      (s) => withHeader(s, input, edit(`expires=${NOW + 30}`, `expires=${NOW}`)),
      'window',
    ],
    [
      'expires before created',
      (s) => withHeader(s, input, edit(`expires=${NOW + 30}`, `expires=${NOW - 1}`)),
      'window',
    ],
    ['a negative created', (s) => withHeader(s, input, edit('created=', 'created=-')), 'parameters'],
    [
      'created as text',
      (s) => withHeader(s, input, edit(`created=${NOW}`, `created="${NOW}"`)),
      'parameters',
    ],
    ['another nonce', (s) => withHeader(s, input, edit('nonce="A', 'nonce="B')), 'signature'],
    ['a short nonce', (s) => withHeader(s, input, edit(/nonce="A+"/, 'nonce="AAAA"')), 'parameters'],
    [
      'a long nonce',
      (s) => withHeader(s, input, edit(/nonce="A+"/, `nonce="${'A'.repeat(65)}"`)),
      'parameters',
    ],
    [
      'a nonce of SQL',
      (s) => withHeader(s, input, edit(/nonce="A+"/, `nonce="';drop table nonces;--"`)),
      'parameters',
    ],
    ['another key id', (s) => withHeader(s, input, edit(/keyid="[^"]+"/, 'keyid="AAAA"')), 'signature'],
    [
      'a key id of a path',
      (s) => withHeader(s, input, edit(/keyid="[^"]+"/, 'keyid="../../etc"')),
      'parameters',
    ],
    [
      'an algorithm that we do not take',
      (s) => withHeader(s, input, edit(/alg="[^"]+"/, 'alg="hmac-sha256"')),
      'algorithm',
    ],
    ['no algorithm, by name', (s) => withHeader(s, input, edit(/alg="[^"]+"/, 'alg="none"')), 'algorithm'],
    [
      'the algorithm of another key',
      (s) =>
        withHeader(
          s,
          input,
          edit(`alg="${alg}"`, `alg="${alg === 'ed25519' ? 'ecdsa-p256-sha256' : 'ed25519'}"`),
        ),
      'algorithm',
    ],
    ['another tag', (s) => withHeader(s, input, edit(`tag="${TAG}"`, 'tag="other"')), 'tag'],
    ['an empty tag', (s) => withHeader(s, input, edit(`tag="${TAG}"`, 'tag=""')), 'parameters'],
    [
      'parameters in another order',
      (s) => withHeader(s, input, edit(/(;created=\d+)(;expires=\d+)/, '$2$1')),
      'signature',
    ],
    ['a parameter more', (s) => withHeader(s, input, (v) => `${v};extra=1`), 'parameters'],
    ['a parameter of another name', (s) => withHeader(s, input, edit('nonce=', 'once=')), 'parameters'],
    ['white space more', (s) => withHeader(s, input, edit('" "', '"  "')), 'malformed'],
    ...['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'].map((name): (typeof cases)[number] => [
      `no ${name}`,
      (s) => withHeader(s, input, edit(new RegExp(`;${name}=("[^"]*"|\\d+)`), '')),
      'parameters',
    ]),
    ...['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'].map((name): (typeof cases)[number] => [
      `${name} twice`,
      (s) => withHeader(s, input, edit(new RegExp(`;${name}=("[^"]*"|\\d+)`), '$&$&')),
      'malformed',
    ]),
  ];

  it.each(cases)('is refused with %s', (_, change, reason) => {
    expect(judge(change(sent), alg)).toBe(reason);
  });

  it.each(['idempotency-key', 'oncall-journal-seq'])(
    'is refused with a body or an %s that nobody signed',
    async (name) => {
      const bare = await send(alg, { headers: {}, body: undefined });
      expect(judge(bare, alg)).toBe('accepted');
      expect(judge({ ...bare, body: Buffer.from('x') }, alg)).toBe('components');
      const added = withHeader(bare, name, () => '12');
      expect(judge(added, alg)).toBe('components');
    },
  );

  it('covers how far the journal is: neither lowered nor left out on the way', async () => {
    const told = await send(alg, { headers: { 'oncall-journal-seq': '12' }, body: undefined });
    expect(judge(told, alg)).toBe('accepted');
    const lowered = withHeader(told, 'oncall-journal-seq', () => '11');
    const left = withHeader(told, 'oncall-journal-seq', () => undefined);
    expect([judge(lowered, alg), judge(left, alg)]).toEqual(['signature', 'components']);
  });

  it('is good from 5 s before its making until its end, and not at it', () => {
    const at = (seconds: number) => judge(sent, alg, (NOW + seconds) * 1000);
    expect([at(-5), at(0), at(29.999)]).toEqual(['accepted', 'accepted', 'accepted']);
    expect([at(-5.001), at(30), at(3600)]).toEqual(['future', 'expired', 'expired']);
  });

  it('lives 60 s at most', async () => {
    const expiresIn = async (seconds: number) =>
      judge(await send(alg, { expiresSeconds: NOW + seconds }), alg);
    expect(await expiresIn(60)).toBe('accepted');
    expect(await expiresIn(61)).toBe('window');
    expect(await expiresIn(0)).toBe('window');
  });

  it('is refused for another purpose and another key', async () => {
    expect(judge(sent, alg, NOW * 1000, 'oncall-approval/v1')).toBe('tag');
    const other =
      alg === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(judge(await send(alg, { sign: signWith(other.privateKey) }), alg)).toBe('signature');
  });

  it('is refused whichever single character of its parts changes', () => {
    const parts = [
      'method',
      'authority',
      'path',
      'query',
      'content-type',
      'content-digest',
      'idempotency-key',
      input,
      'signature',
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...parts),
        fc.nat(),
        fc.integer({ min: 0x20, max: 0x7e }),
        (part, where, code) => {
          const mutate = (text: string) => {
            const at = where % text.length;
            const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
            // A space at an end is trimmed from a field's value, on the wire too.
            fc.pre(changed.trim() === changed && changed !== text);
            return changed;
          };
          const changed =
            part in sent.headers
              ? withHeader(sent, part, mutate)
              : { ...sent, [part]: mutate(String(sent[part as keyof Sent])) };
          expect(judge(changed, alg)).not.toBe('accepted');
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('hostile headers', () => {
  it('end in a reason, never in a crash', () => {
    const field = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'sig1=(")";:, \\created-A/+') }),
      fc.array(fc.string()),
      fc.constant(undefined),
    );
    fc.assert(
      fc.property(field, field, (signatureInput, signature) => {
        const headers: HeaderFields = { 'signature-input': signatureInput, signature };
        expect(() => parseSignature(headers)).toThrow(SignatureError);
      }),
      { numRuns: 1000 },
    );
  });

  it('all look the same from outside', () => {
    const messages = new Set(
      (['missing', 'digest', 'expired'] as const).map((reason) => {
        const { code, message, hint, details } = new SignatureError(reason);
        return JSON.stringify({ code, message, hint, details });
      }),
    );
    expect(messages.size).toBe(1);
  });
});

describe('signing', () => {
  it.each<[string, Partial<SignRequestOptions>]>([
    ['a body without a content type', { headers: {} }],
    ['a header that could forge a line', { headers: { 'content-type': 'a\nb' } }],
    ['a nonce that can be guessed', { nonce: '1' }],
    ['a fraction of a second', { createdSeconds: NOW + 0.5 }],
    ['a tag with a line end', { tag: 'a\nb' }],
  ])('refuses %s', async (_, changes) => {
    await expect(send('ed25519', changes)).rejects.toMatchObject({ code: 'invalid_request' });
  });
});
